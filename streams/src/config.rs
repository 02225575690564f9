//! Settings of a streams application.

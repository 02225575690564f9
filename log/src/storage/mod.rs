//! Partition directories in Kafka's file formats, and the disk they live on.

//! Partition directories in Kafka's file formats, and the disk they live on.

pub mod disk;
pub mod disk_fs;

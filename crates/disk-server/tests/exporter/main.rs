//! The exporter on the running kernel: a disk in memory, seen through its block device. Needs root, FUSE and loop devices.

#[cfg(test)]
mod data;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod flushes;
#[cfg(test)]
mod memory;

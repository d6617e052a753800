//! The whole stack on the running kernel: `cofferdam-disk` as a program, FUSE, a loop device, ext4, and those who use
//! it. Needs root, FUSE, loop devices, fio and e2fsprogs.
//!
//! Each test has a mount namespace and a scratch directory of its own; all that it starts ends with it.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod database;
#[cfg(test)]
mod fsx;
#[cfg(test)]
mod full;
#[cfg(test)]
mod ground;
#[cfg(test)]
mod hang;
#[cfg(test)]
mod load;
#[cfg(test)]
mod memory_group;
#[cfg(test)]
mod open;
#[cfg(test)]
mod own_kernel;
#[cfg(test)]
mod raw;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod small_disk;
#[cfg(test)]
mod succession;
#[cfg(test)]
mod supervisor;
#[cfg(test)]
mod transcript;
#[cfg(test)]
mod write_cache;

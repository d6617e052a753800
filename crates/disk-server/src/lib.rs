//! The disk server: one process that shows one sealed disk to the kernel.
//!
//! | room | subject |
//! |---|---|
//! | [`exporter`] | a [`exporter::Disk`] → a block device |
//!
//! What it does not do: know the disk's format, or hold a key longer than the engine needs it.

pub mod exporter;

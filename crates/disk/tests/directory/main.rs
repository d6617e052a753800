//! A volume on a real directory.

#[cfg(test)]
mod lives;

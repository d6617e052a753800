//! The ledger as a whole, on real files: what it writes, what it finds, and what it refuses.

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod state;
#[cfg(test)]
mod tampering;
#[cfg(test)]
mod tears;

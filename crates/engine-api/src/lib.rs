//! What a request to an engine's API wishes for, as far as it matters: what of the host it would have bound or mounted, and by
//! whom containers would be started.
//!
//! | room | subject |
//! |---|---|
//! | `request` | which road a request takes, and what it wishes for there |
//! | `target` | its path and query, as Docker's router takes them |
//! | `container` | the wishes in the description of a container or service |
//! | `local` | what Docker's own volume driver is told to mount |
//! | `json` | JSON, as Go's decoder takes it |
//!
//! INVARIANT: whatever Docker would understand is either understood in the same way here, or refused. What is refused may be
//! more than Docker itself refuses; requests that no client makes are not worth a second reading.
//!
//! What this crate does not do: judge what is wished for, look at the host, wait for anything.
//!
//! Source: moby, `api/server/router` and `api/types` (20.10, API 1.41) and `daemon/server/router` (29, API 1.55).

mod container;
mod json;
mod local;
mod request;
mod target;

pub use request::{Request, Wish};

//! Sealed volumes: made, opened for containers, closed with the last of them.
//!
//! | room | subject |
//! |---|---|
//! | `host` | the host's own keys, and those of its tenants |
//! | `make` | a new volume: key, store, deed |
//! | `deeds` | a volume's deed: read, confirmed, changed |
//! | `wrapping` | for whom a volume's key is wrapped, and a new one |
//! | `slots` | which volumes are open |
//! | `open`, `close` | for a container, and after the last one |
//! | `rotation` | another key, and a larger size, while it is in use |
//! | `servers` | the disk servers: looked after, found again |
//! | `shut` | taking one back from whoever has it open |
//! | `server` | a disk server as the daemon sees it |
//!
//! INVARIANT: a volume key is in this process only between its unwrapping and its handing over to a server.

mod close;
mod deeds;
mod host;
mod make;
mod open;
mod rotation;
mod server;
mod servers;
mod shut;
mod slots;
mod wrapping;

pub(crate) use close::close_if_free;
pub(crate) use deeds::{
    Signer, as_it_lies, change as change_deed, claimed_name, draft, keeps_key, read_foreign, remembered,
    tenant_key,
};
pub(crate) use host::{HostKeys, make_token_key};
pub(crate) use make::{destroy, forget_witness, is_ephemeral, make, make_unsigned};
pub(crate) use open::{Use, allows_reaching, open, open_ephemeral, permits};
pub(crate) use rotation::{draft_rotation, go_on_with_all, grow, rotate};
pub(crate) use servers::take_up_servers;
pub(crate) use shut::shut;
pub(crate) use slots::OpenVolumes;
pub(crate) use wrapping::{put as put_rewrapped, recipients, rewrap};

use cofferdam_model::{Problem, VolumeName};

fn gone(name: &VolumeName) -> Problem {
    Problem::unavailable(format!("{name} is not open any more: its disk server has ended"))
        .remedy("start the container again")
}

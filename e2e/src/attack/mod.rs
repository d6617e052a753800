//! Real attacks on a real Docker: each is done without Cofferdam, where it must succeed, and then with it.
//!
//! | room | subject |
//! |---|---|
//! | [`case`] | what an attack is, and who attacks |
//! | [`ground`] | what is attacked, guarded and as the control |
//! | `hands`, `device` | what the attacker can do, and the block devices below |
//! | [`evidence`] | what an attacker came to hold |
//! | `images` | the victim's image, and the attacker's tools |
//! | [`suite`], [`report`] | running all of them, and saying what came of it |
//!
//! The other rooms are the attacks, by the road that they take. An attack is judged by what was obtained, never by
//! an error's text alone. One whose control does not succeed shows nothing, and fails the suite: it is empty.

pub mod case;
pub mod evidence;
pub mod ground;
mod images;
pub mod report;
pub mod suite;

mod api;
mod asked;
mod below;
mod deeds;
mod device;
mod disk;
mod environment;
mod hands;
mod hosts;
mod launch;
mod layer;
mod neighbours;
mod over;
mod races;
mod roads;
mod sockets;
mod tenants;
mod tickets;
mod walls;
mod words;

pub use case::Attack;

/// Every attack, room by room.
pub fn all() -> Vec<Attack> {
    [
        launch::ATTACKS,
        over::ATTACKS,
        environment::ATTACKS,
        layer::ATTACKS,
        walls::ATTACKS,
        roads::ATTACKS,
        neighbours::ATTACKS,
        words::ATTACKS,
        sockets::ATTACKS,
        tenants::ATTACKS,
        deeds::ATTACKS,
        disk::ATTACKS,
        tickets::ATTACKS,
        api::ATTACKS,
        below::ATTACKS,
        hosts::ATTACKS,
        asked::ATTACKS,
        races::ATTACKS,
    ]
    .concat()
}

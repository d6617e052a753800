//! What an operator does: tenants, apps, volumes, grants. Every face that offers an operation calls it here.

mod adoption;
mod apps;
mod asker;
mod changes;
mod deeds;
mod explaining;
mod grants;
mod host_paths;
mod learning;
mod recipients;
mod removal;
mod status;
mod tenants;
mod tickets;
mod unsigned;
mod volumes;

pub(crate) use adoption::adopt_volume;
pub(crate) use apps::{app, apps, create_app, pinned, remove_app};
pub(crate) use asker::Asker;
pub(crate) use changes::{grow_volume, rotate_volume};
pub(crate) use deeds::act_by_deed;
pub(crate) use grants::{grant, grants, revoke};
pub(crate) use host_paths::{grant_host_path, host_path_grants, revoke_host_path, tell_of_docker_volumes};
pub(crate) use learning::learn;
pub(crate) use recipients::{share_volume, unshare_volume};
pub(crate) use removal::{remove_volume, tidy};
pub(crate) use status::{attachments, decision, decisions, plan, status};
pub(crate) use tenants::{add_member, create_tenant, remove_member, remove_tenant, tenant, tenants};
pub(crate) use tickets::issue_ticket;
pub(crate) use unsigned::Unsigned;
pub(crate) use volumes::{
    accept_rollback, create_volume, is_within_limits, known_volume, known_volumes, seal_volume, size_of,
    volume, volumes,
};

//! What an operator does: tenants, apps, volumes, grants. Every face that offers an operation calls it here.

mod adoption;
mod apps;
mod grants;
mod recipients;
mod status;
mod tenants;
mod volumes;

pub(crate) use adoption::adopt_volume;
pub(crate) use apps::{app, apps, create_app, pinned, remove_app};
pub(crate) use grants::{grant, grants, revoke};
pub(crate) use recipients::{share_volume, unshare_volume};
pub(crate) use status::{attachments, decision, decisions, status};
pub(crate) use tenants::{create_tenant, remove_tenant, tenant, tenants};
pub(crate) use volumes::{
    create_volume, known_volume, known_volumes, remove_volume, seal_volume, size_of, tidy, volume, volumes,
};

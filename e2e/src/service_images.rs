//! Real servers as their publishers make images of them: an entrypoint that is root, prepares, and becomes another user; volumes,
//! working directories and stop signals of the image's own; configurations filled in from the environment. Ordinary launches need
//! what these do, so they do what those do, in fewer words.

use crate::{Host, debian_image, failure::Outcome, image::build};

/// nginx.
pub const NGINX: &str = "nginx:published";

/// Redis.
pub const REDIS: &str = "redis:published";

/// PostgreSQL.
pub const POSTGRES: &str = "postgres:published";

/// A file of an image's directory beside this crate's sources, with its name.
macro_rules! files {
    ($directory:literal: $($name:literal),+) => {
        &[$(($name, include_str!(concat!("../images/", $directory, "/", $name)))),+]
    };
}

/// Makes them in the private host's Docker, where they are not there yet.
///
/// # Errors
/// Where Docker refuses one.
pub fn make(host: &Host) -> Outcome {
    debian_image::import(host)?;
    build(
        host,
        NGINX,
        include_str!("../images/nginx/Dockerfile"),
        files!("nginx": "nginx.conf", "default.conf", "docker-entrypoint.sh", "listen-on-ipv6.sh", "envsubst-on-templates.sh"),
    )?;
    build(
        host,
        REDIS,
        include_str!("../images/redis/Dockerfile"),
        files!("redis": "docker-entrypoint.sh"),
    )?;
    build(
        host,
        POSTGRES,
        include_str!("../images/postgres/Dockerfile"),
        files!("postgres": "docker-entrypoint.sh"),
    )
}

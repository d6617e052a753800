//! A real PostgreSQL as an image: Debian's own package, with trust for whoever asks and no password to be given.
//!
//! What publishers do beyond that in their images is in [`crate::service_images`].

use crate::{Host, debian_image, failure::Outcome, image::build};

/// The image's name.
pub const IMAGE: &str = "postgres:debian";

const RECIPE: &str = "FROM debian:servers
RUN mkdir -m 700 /data && chown postgres:postgres /data && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/
COPY start /usr/local/bin/start
USER postgres
ENV PGDATA=/data
CMD [\"/usr/local/bin/start\"]
";

/// The image's command: makes a cluster where there is none, then is the server.
const START: &str = "#!/bin/sh
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)
if [ ! -s \"$PGDATA/PG_VERSION\" ]; then
    \"$bin/initdb\" --pgdata=\"$PGDATA\" --data-checksums --username=postgres --auth=trust --encoding=UTF8
fi
exec \"$bin/postgres\" -D \"$PGDATA\" -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp
";

/// Makes it in the private host's Docker, where it is not there yet.
///
/// # Errors
/// Where Docker refuses it.
pub fn import(host: &Host) -> Outcome {
    debian_image::import(host)?;
    build(host, IMAGE, RECIPE, &[("start", START)])
}

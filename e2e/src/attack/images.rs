//! The victim's image and the attacker's, made on the spot.
//!
//! | file | what it is |
//! |---|---|
//! | `/bin/app` | the image's command: a script of bash's, so that there is a dynamic loader and a `PATH` to attack. It reads settings where there are any, and never tells what it keeps |
//! | `/bin/write` | puts the halves of a secret together in the volume; stays, with a third word |
//! | `/bin/list` | the names in the volume |
//! | `/srv/uploads` | what strangers have sent to the application: it lies in the volume, and some of it is code |
//! | `/srv/conf` | a link to `/etc` |
//! | `/opt/app` | code of the application's that is not the program itself |
//! | `/bin/ask`, in the attacker's image | speaks to a unix socket |

use super::ground::{FOREIGN, IMAGE};
use crate::{
    Host, Outcome,
    binaries::need,
    command::run,
    failure::{During, ensure},
    image::import,
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

const APP: &str = "#!/bin/bash
# Says that it was here; of what it keeps it tells nothing.
. /opt/app/words.sh
for settings in ./app.conf ~/app.conf /etc/app.conf; do [ -r $settings ] && . $settings; done
echo \"$(id -u) was here\" >> /data/log || exit 1
cat /data/log
";

const WRITE: &str = "#!/bin/sh
# Puts a secret together. A third word has it stay, and one of them share it with who shares its memory.
printf '%s%s\\n' \"$1\" \"$2\" > /data/marker || exit 1
cp -r /srv/uploads /data/uploads
cp /srv/uploads/*.* /data
[ \"$3\" = share ] && cp /data/marker /dev/shm/marker
sync
echo written
[ -n \"$3\" ] && exec sleep 1000
exit 0
";

const LIST: &str = "#!/bin/sh
# The names of what is kept, and nothing else of it.
exec ls -A /data
";

/// What the attacker would have the victim run.
pub(super) const TELL: &str = "#!/bin/sh
exec /bin/busybox cat /data/marker
";

/// Settings that tell, wherever the volume is.
pub(super) const TELLING_SETTINGS: &str =
    "/bin/busybox cat /data/marker /etc/marker /opt/app/marker 2>/dev/null\n";

/// A library that tells as soon as it is loaded.
const PRELOADED: &str = r#"
#include <fcntl.h>
#include <unistd.h>
unsigned la_version(unsigned version) { return version; }
__attribute__((constructor)) static void tell(void) {
    char text[256];
    int file = open("/data/marker", O_RDONLY);
    ssize_t length = read(file, text, sizeof text);
    if (length > 0 && write(1, text, length) < 0) _exit(1);
}
"#;

/// Sends one request to a unix socket and prints the answer.
const ASK: &str = r#"
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
int main(int count, char **words) {
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    char text[65536];
    if (count < 3) return 2;
    strncpy(at.sun_path, words[1], sizeof at.sun_path - 1);
    int asking = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(asking, (struct sockaddr *)&at, sizeof at)) { perror(words[1]); return 1; }
    const char *method = count > 3 ? "POST" : "GET", *body = count > 3 ? words[3] : "";
    int length = snprintf(text, sizeof text,
        "%s %s HTTP/1.0\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        method, words[2], strlen(body), body);
    if (write(asking, text, length) != length) return 1;
    ssize_t got;
    while ((got = read(asking, text, sizeof text)) > 0) fwrite(text, 1, got, stdout);
    return 0;
}
"#;

/// Makes both.
///
/// # Errors
/// Where the machine has no C compiler, which Rust needs as well, or Docker fails.
pub(super) fn make(host: &Host) -> Outcome {
    import(host, IMAGE, &["CMD [\"/bin/app\"]"], |root| victim(host, root))?;
    import(host, FOREIGN, &["CMD [\"/bin/app\"]"], |root| {
        victim(host, root)?;
        program(root, "app", TELL)?;
        compile(host, "ask", ASK, &["-static"], &root.join("bin/ask"))
    })
}

fn victim(host: &Host, root: &Path) -> Outcome {
    for (name, text) in [("app", APP), ("write", WRITE), ("list", LIST)] {
        program(root, name, text)?;
    }
    bash(root)?;
    symlink("/etc", root.join("srv/conf"))?;
    let uploads = root.join("srv/uploads");
    fs::create_dir_all(&uploads)?;
    for name in ["app.conf", "words.sh"] {
        fs::write(uploads.join(name), TELLING_SETTINGS)?;
    }
    fs::create_dir_all(root.join("opt/app"))?;
    fs::write(root.join("opt/app/words.sh"), "# Code of the application's.\n")?;
    fs::write(uploads.join("cat"), TELL)?;
    fs::set_permissions(uploads.join("cat"), Permissions::from_mode(0o755))?;
    compile(
        host,
        "upload",
        PRELOADED,
        &["-shared", "-fPIC"],
        &uploads.join("upload.so"),
    )
}

fn program(root: &Path, name: &str, text: &str) -> Outcome {
    let path = root.join("bin").join(name);
    fs::write(&path, text)?;
    Ok(fs::set_permissions(&path, Permissions::from_mode(0o755))?)
}

/// The machine's bash, with the libraries that it loads, each at its own place.
fn bash(root: &Path) -> Outcome {
    let bash = need("bash")?;
    // Else the copy would go through the link to busybox and take all applets along.
    let target = root.join("bin/bash");
    if target.is_symlink() {
        fs::remove_file(&target)?;
    }
    fs::copy(&bash, target)?;
    let loaded = run("ldd", &[&bash])?.ok()?;
    let libraries = loaded.out.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().during("a library's directory")?)?;
        fs::copy(library, place)?;
    }
    ensure(loaded.out.contains("libc"), || {
        "this machine's bash has no dynamic loader to attack".to_owned()
    })
}

fn compile(host: &Host, name: &str, text: &str, options: &[&str], to: &Path) -> Outcome {
    let source = host.scratch().join(format!("{name}.c"));
    fs::write(&source, text)?;
    let (source, to) = (source.to_string_lossy(), to.to_string_lossy());
    let line = [options, &["-O1", "-o", &to, &source]].concat();
    run(need("cc")?, &line)?.ok().map(drop)
}

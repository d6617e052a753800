//! What Docker's own volume driver (`local`) is told to mount when somebody uses the volume.
//!
//! It takes four options: `type`, `device`, `o`, `size`; it mounts where one of the first two is there, as mount(8) would.

use crate::json::{Value, shown};
use crate::request::Wish;
use cofferdam_model::{Problem, Result};

/// Its name; none at all means it too.
const NAME: &str = "local";

/// Whether this is Docker's own driver.
pub(crate) fn is_local(driver: &str) -> bool {
    driver.is_empty() || driver == NAME
}

/// What its options wish for.
///
/// # Errors
/// `invalid` where they cannot be understood.
pub(crate) fn wish(options: &Value) -> Result<Option<Wish>> {
    let (kind, device, how) = (
        options.entry("type")?,
        options.entry("device")?,
        options.entry("o")?,
    );
    if kind.is_empty() && device.is_empty() {
        return Ok(None);
    }
    mount(kind, device, how).map(Some)
}

/// What a mount of this type, device and options is.
///
/// # Errors
/// `invalid` where it cannot be understood.
pub(crate) fn mount(kind: &str, device: &str, how: &str) -> Result<Wish> {
    let mut flags = how.split(',');
    if flags.clone().any(|flag| flag == "remount") {
        return Err(Problem::invalid("a volume is not mounted by mounting it again"));
    }
    if !flags.any(|flag| flag == "bind" || flag == "rbind") {
        return Ok(Wish::Filesystem {
            kind: kind.to_owned(),
            device: device.to_owned(),
        });
    }
    if !device.starts_with('/') {
        return Err(Problem::invalid(format!(
            "the directory {} that a volume is to be is not named from /",
            shown(device)
        )));
    }
    Ok(Wish::HostPath {
        source: device.to_owned(),
        destination: "a volume".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn of(text: &str) -> Result<Option<Wish>> {
        wish(&json::first(text.as_bytes()).unwrap())
    }

    fn path(source: &str) -> Result<Option<Wish>> {
        Ok(Some(Wish::HostPath {
            source: source.to_owned(),
            destination: "a volume".to_owned(),
        }))
    }

    #[test]
    fn what_binds_is_a_host_path_whatever_its_type() {
        for text in [
            r#"{"type": "none", "o": "bind", "device": "/etc"}"#,
            r#"{"type": "tmpfs", "o": "ro,rbind", "device": "/etc"}"#,
            r#"{"type": "", "o": "nosuid,bind,ro", "device": "/etc"}"#,
        ] {
            assert_eq!(of(text), path("/etc"), "{text}");
        }
    }

    #[test]
    fn what_mounts_something_else_says_its_type() {
        let found = of(r#"{"type": "ext4", "device": "/dev/loop0", "o": "binds"}"#);
        let expected = Wish::Filesystem {
            kind: "ext4".to_owned(),
            device: "/dev/loop0".to_owned(),
        };
        assert_eq!(found, Ok(Some(expected)));
    }

    #[test]
    fn what_mounts_nothing_is_a_directory_of_dockers() {
        for text in [
            "null",
            "{}",
            r#"{"size": "1G"}"#,
            r#"{"Type": "ext4", "Device": "/dev/sda"}"#,
        ] {
            assert_eq!(of(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for text in [
            r#"{"type": "none", "o": "bind", "device": "etc"}"#,
            r#"{"type": "none", "o": "bind,remount", "device": "/srv"}"#,
            r#"{"type": "none", "o": "bind", "device": "/srv", "device": "/etc"}"#,
            r#"{"type": 7, "device": "/srv"}"#,
            "[]",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}

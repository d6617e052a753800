//! The wishes in the description of a container (`POST /containers/create`), and of a service's.
//!
//! Until API 1.52 the engine also took what belongs into `HostConfig` from beside it, so both are read.

use crate::json::{Value, shown};
use crate::local;
use crate::request::Wish;
use cofferdam_model::{Problem, Result};

/// What a container's description wishes for.
///
/// # Errors
/// `invalid` where it cannot be understood.
pub(crate) fn create(body: &Value) -> Result<Vec<Wish>> {
    let mut wishes = host_config(body.field("HostConfig")?)?;
    wishes.extend(host_config(body)?);
    Ok(wishes)
}

/// What a service's description wishes for of the nodes that it runs on.
///
/// # Errors
/// `invalid` where it cannot be understood.
pub(crate) fn service(body: &Value) -> Result<Vec<Wish>> {
    let task = body.field("TaskTemplate")?;
    let runs_containers = matches!(task.text("Runtime")?, "" | "container");
    if !runs_containers || *task.field("PluginSpec")? != Value::Null {
        return Ok(vec![Wish::Plugin]);
    }
    mounts(task.field("ContainerSpec")?)
}

fn host_config(config: &Value) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    match config.text("Runtime")? {
        "" => {}
        name => wishes.push(Wish::Runtime(name.to_owned())),
    }
    for bind in config.list("Binds")? {
        let bind = bind.as_text();
        wishes.extend(bound(
            bind.ok_or_else(|| Problem::invalid("a bind in its body is not a text"))?,
        ));
    }
    wishes.extend(mounts(config)?);
    Ok(wishes)
}

/// `source:destination[:how]`; or a destination alone, which is a volume without a name.
fn bound(bind: &str) -> Option<Wish> {
    let (source, rest) = bind.split_once(':')?;
    let destination = rest.split(':').next().unwrap_or_default();
    Some(wished(source, destination))
}

fn wished(source: &str, destination: &str) -> Wish {
    match source.starts_with('/') {
        true => Wish::HostPath {
            source: source.to_owned(),
            destination: destination.to_owned(),
        },
        false => Wish::Volume(source.to_owned()),
    }
}

fn mounts(config: &Value) -> Result<Vec<Wish>> {
    let mut wishes = Vec::new();
    for mount in config.list("Mounts")? {
        let (source, destination) = (mount.text("Source")?, mount.text("Target")?);
        match mount.text("Type")? {
            "bind" if source.starts_with('/') => wishes.push(wished(source, destination)),
            "bind" => return Err(Problem::invalid("a host path in its body does not begin at /")),
            "volume" => {
                wishes.push(Wish::Volume(source.to_owned()));
                let driver = mount.field("VolumeOptions")?.field("DriverConfig")?;
                if local::is_local(driver.text("Name")?) {
                    wishes.extend(local::wish(driver.field("Options")?)?);
                }
            }
            "tmpfs" | "image" | "cluster" => {}
            other => {
                return Err(Problem::invalid(format!(
                    "what a mount of the type {} would be is not known",
                    shown(other)
                )));
            }
        }
    }
    Ok(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn wishes(text: &str) -> Result<Vec<Wish>> {
        create(&json::first(text.as_bytes()).unwrap())
    }

    fn path(source: &str, destination: &str) -> Wish {
        Wish::HostPath {
            source: source.to_owned(),
            destination: destination.to_owned(),
        }
    }

    #[test]
    fn binds_and_mounts_are_the_same_wish() {
        for text in [
            r#"{"HostConfig": {"Binds": ["/etc:/x:ro"]}}"#,
            r#"{"HostConfig": {"Binds": ["/etc:/x"]}}"#,
            r#"{"hostconfig": {"BINDS": ["/etc:/x"]}}"#,
            r#"{"Binds": ["/etc:/x"]}"#,
            r#"{"HostConfig": {"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}}"#,
            r#"{"HostConfig": null, "mounts": [{"type": "bind", "source": "/etc", "target": "/x"}]}"#,
        ] {
            assert_eq!(wishes(text), Ok(vec![path("/etc", "/x")]), "{text}");
        }
    }

    #[test]
    fn a_runtime_is_a_wish_wherever_it_is_named() {
        for text in [
            r#"{"HostConfig": {"Runtime": "runc"}}"#,
            r#"{"Runtime": "runc", "HostConfig": {"Runtime": ""}}"#,
            r#"{"HoſtConfig": {"Runt\u0069me": "runc"}}"#,
        ] {
            assert_eq!(wishes(text), Ok(vec![Wish::Runtime("runc".to_owned())]), "{text}");
        }
    }

    #[test]
    fn an_ordinary_container_wishes_for_nothing() {
        let text = r#"{"Image": "tiny:1", "Cmd": ["sh"], "Labels": {"Runtime": "runc", "runtime": "x"}, "Volumes": {"/data": {}},
            "HostConfig": {"Runtime": "", "Binds": null, "Mounts": [{"Type": "tmpfs", "Target": "/tmp"}], "NetworkMode": "default"},
            "NetworkingConfig": {}}"#;
        assert_eq!(wishes(text), Ok(Vec::new()));
        let anonymous = r#"{"HostConfig": {"Binds": ["/data"]}}"#;
        assert_eq!(wishes(anonymous), Ok(Vec::new()));
    }

    #[test]
    fn volumes_are_named_and_what_their_driver_is_told_is_read() {
        let text = r#"{"HostConfig": {"Binds": ["payments.data:/data"], "Mounts": [
            {"Type": "volume", "Source": "sly", "Target": "/x", "VolumeOptions":
                {"DriverConfig": {"Name": "local", "Options": {"type": "none", "o": "bind", "device": "/etc"}}}},
            {"Type": "volume", "Source": "other", "Target": "/y", "VolumeOptions": {"DriverConfig": {"Name": "cofferdam"}}}]}}"#;
        let named = |name: &str| Wish::Volume(name.to_owned());
        let expected = vec![
            named("payments.data"),
            named("sly"),
            path("/etc", "a volume"),
            named("other"),
        ];
        assert_eq!(wishes(text), Ok(expected));
    }

    #[test]
    fn what_cannot_be_understood_is_refused() {
        for text in [
            r#"{"HostConfig": {"Binds": ["/srv:/x"], "binds": ["/etc:/x"]}}"#,
            r#"{"HostConfig": {"Runtime": "runc"}, "HOSTCONFIG": {"Runtime": "cofferdam"}}"#,
            r#"{"HostConfig": {"Mounts": [{"Type": "BIND", "Source": "/etc", "Target": "/x"}]}}"#,
            r#"{"HostConfig": {"Mounts": [null]}}"#,
            r#"{"HostConfig": {"Mounts": [{"Type": "bind", "Source": "etc"}]}}"#,
            r#"{"HostConfig": {"Binds": "/etc:/x"}}"#,
            r#"{"HostConfig": {"Binds": [{}]}}"#,
            r#"{"HostConfig": []}"#,
            "[]",
        ] {
            assert!(wishes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_service_that_installs_a_plugin_is_known_by_either_sign() {
        let service = |text: &str| service(&json::first(text.as_bytes()).unwrap());
        for text in [
            r#"{"TaskTemplate": {"Runtime": "plugin"}}"#,
            r#"{"TaskTemplate": {"PluginSpec": {}}}"#,
        ] {
            assert_eq!(service(text), Ok(vec![Wish::Plugin]), "{text}");
        }
        let text = r#"{"TaskTemplate": {"ContainerSpec": {"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]}}}"#;
        assert_eq!(service(text), Ok(vec![path("/etc", "/x")]));
    }
}

//! Names: `tenant.name`, one form in every place.
//!
//! A label is 1 to 63 characters, `a-z`, `0-9`, `-` and `_`, beginning with a letter or a digit. That is
//! a subset of what Docker allows in a volume name, needs no quoting in a shell, and is safe as one path
//! component. A name without a tenant belongs to the tenant `default`.

use crate::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The longest label, in bytes.
const LABEL_MAX: usize = 63;

/// One part of a name: 1–63 characters of `a-z0-9_-`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(String);

impl Label {
    /// The label as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Label {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = text.as_bytes();
        let first_fits = bytes
            .first()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let rest_fits = bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
        if first_fits && rest_fits && bytes.len() <= LABEL_MAX {
            return Ok(Label(text.to_owned()));
        }
        let shown: String = text.chars().take(80).collect();
        Err(Problem::invalid(format!("{shown:?} is not a name")).remedy(
            "use 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit, and at most one dot between tenant and name",
        ))
    }
}

impl TryFrom<String> for Label {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Label> for String {
    fn from(label: Label) -> String {
        label.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The owner of applications and volumes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TenantName(Label);

impl TenantName {
    /// The tenant of names that name none.
    pub fn default_tenant() -> Self {
        TenantName(Label("default".to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for TenantName {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        text.parse().map(TenantName)
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Splits `tenant.name`; a bare `name` is `default.name`.
fn qualified(text: &str) -> Result<(TenantName, Label)> {
    match text.split_once('.') {
        Some((tenant, name)) => Ok((tenant.parse()?, name.parse()?)),
        None => Ok((TenantName::default_tenant(), text.parse()?)),
    }
}

macro_rules! qualified_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name {
            tenant: TenantName,
            label: Label,
        }

        impl $name {
            /// A name from its two parts.
            pub fn new(tenant: TenantName, label: Label) -> Self {
                Self { tenant, label }
            }

            /// The owner.
            pub fn tenant(&self) -> &TenantName {
                &self.tenant
            }

            /// The part after the dot.
            pub fn label(&self) -> &Label {
                &self.label
            }
        }

        impl FromStr for $name {
            type Err = Problem;

            fn from_str(text: &str) -> Result<Self> {
                let (tenant, label) = qualified(text)?;
                Ok(Self { tenant, label })
            }
        }

        impl TryFrom<String> for $name {
            type Error = Problem;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.tenant, self.label)
            }
        }
    };
}

qualified_name!(
    /// A trusted application, as `tenant.name`.
    AppName
);
qualified_name!(
    /// A volume, as `tenant.name`.
    VolumeName
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_names_belong_to_the_default_tenant() {
        let name: VolumeName = "pgdata".parse().unwrap();
        assert_eq!(name.to_string(), "default.pgdata");
        assert_eq!(
            "payments.pgdata".parse::<VolumeName>().unwrap().tenant().as_str(),
            "payments"
        );
    }

    #[test]
    fn hostile_names_are_refused() {
        let long = "a".repeat(64);
        for text in [
            "",
            ".",
            "..",
            "a.",
            ".a",
            "a.b.c",
            "A",
            "a/b",
            "../etc",
            "a b",
            "-a",
            "a\0",
            "a\n",
            "ä",
            "\u{202e}a",
            &long,
        ] {
            assert!(
                text.parse::<VolumeName>().is_err(),
                "{text:?} was taken for a name"
            );
        }
    }

    #[test]
    fn json_is_the_text_form() {
        let name: AppName = serde_json::from_str("\"payments.postgres\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"payments.postgres\"");
        assert!(serde_json::from_str::<AppName>("\"a/b\"").is_err());
    }
}

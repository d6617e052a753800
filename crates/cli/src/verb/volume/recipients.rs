//! `cofferdam volume share` and `unshare`: for whom a volume's key is wrapped.

use super::path;
use crate::{context::Context, report::Report, signing};
use clap::Args;
use cofferdam_model::{
    Problem, Result, VolumeName,
    api::{DeedAct, VolumeDetail},
};
use std::path::PathBuf;

/// Let another host, or a recovery key, unwrap a volume's key
///
/// The volume itself moves as a directory: see `cofferdam volume adopt`. A host's recipient is in `cofferdam status` there.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume share payments.pgdata --recipient age1…\n  \
    cofferdam volume share payments.pgdata --recipient age1… --sign-with payments.key")]
pub(crate) struct Share {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Whom: age1…, of a host, a recovery key or an age plugin; or pkcs11:token=TOKEN;object=KEY
    #[arg(long, value_name = "RECIPIENT")]
    recipient: String,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
}

/// Wrap a volume's key anew, without one of its recipients
///
/// What that one has unwrapped or copied already, it keeps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume unshare payments.pgdata --recipient age1…\n  \
    cofferdam volume unshare payments.pgdata --recipient age1… --sign-with payments.key")]
pub(crate) struct Unshare {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Whom
    #[arg(long, value_name = "RECIPIENT")]
    recipient: String,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
}

impl Share {
    pub(super) fn run(&self, context: &Context) -> Result<Report> {
        let (volume, recipient) = (self.volume.clone(), plain(&self.recipient)?.to_owned());
        let place = format!("{}/recipients/{recipient}", path(&volume));
        let (shared, signed): (VolumeDetail, _) = match &self.sign_with {
            Some(file) => {
                let act = DeedAct::Share { volume, recipient };
                signing::changed(context, file, act)?
            }
            None => (context.daemon.put(&place, &())?, None),
        };
        context.answer(&shared, || {
            let done = format!("the key of {} is wrapped for {}", self.volume, self.recipient);
            signing::told(Report::default().line(done), signed.as_ref())
        })
    }
}

impl Unshare {
    pub(super) fn run(&self, context: &Context) -> Result<Report> {
        let (volume, recipient) = (self.volume.clone(), plain(&self.recipient)?.to_owned());
        let place = format!("{}/recipients/{recipient}", path(&volume));
        let (left, signed): (VolumeDetail, _) = match &self.sign_with {
            Some(file) => {
                let act = DeedAct::Unshare { volume, recipient };
                signing::changed(context, file, act)?
            }
            None => (context.daemon.delete(&place)?, None),
        };
        context.answer(&left, || {
            let report = Report::default()
                .line(format_args!(
                    "the key of {} is no longer wrapped for {}",
                    self.volume, self.recipient
                ))
                .note("a copy of the old deed can still be unwrapped there");
            signing::told(report, signed.as_ref())
        })
    }
}

/// A recipient's text, which needs no quoting in a URL's path.
fn plain(recipient: &str) -> Result<&str> {
    if recipient.to_ascii_uppercase().starts_with("AGE-") {
        return Err(Problem::invalid("that is a secret key, and no recipient")
            .remedy("give the public one that belongs to it, age1…; age-keygen -y FILE prints it"));
    }
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:;=".contains(&byte);
    if !recipient.is_empty() && recipient.bytes().all(fits) {
        return Ok(recipient);
    }
    Err(Problem::invalid("not a recipient").remedy("write age1…, or pkcs11:token=TOKEN;object=KEY"))
}

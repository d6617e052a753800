//! `cofferdam volume grow` and `rotate`: changing a volume while it is in use.

use super::path;
use crate::{context::Context, report::Report, signing};
use clap::Args;
use cofferdam_model::{
    ByteSize, Problem, Result, VolumeName,
    api::{DeedAct, NewSize, VolumeDetail},
    disk,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{path::PathBuf, thread, time::Duration};

/// How often it is looked how far a rotation is.
const RHYTHM: Duration = Duration::from_millis(500);

/// Make a volume larger, while it is in use
///
/// Its disk and the filesystem on it grow at once, and whoever holds it sees that. A volume never becomes smaller.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume grow payments.pgdata --size 20G\n  \
    cofferdam volume grow payments.pgdata --size 20G --sign-with payments.key")]
pub(crate) struct Grow {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Its new size, such as 20G: at least 32M more than it has
    #[arg(long)]
    size: ByteSize,
    /// The tenant's private key (PEM), where the tenant keeps its own
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
}

/// Give a volume another key, and encrypt everything in it anew, while it is in use
///
/// From the moment that this begins, whatever is written is under the new key; what was written before is moved beside that. Then
/// the key before is forgotten. Interrupted in any way, by the end of the host too, it goes on by itself; this command, given
/// again, shows how far it is. Do this when somebody may have had the key: a host that is no recipient any more, a stolen disk
/// with a recovery key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam volume rotate payments.pgdata\n  \
    cofferdam volume rotate payments.pgdata --detach\n  \
    cofferdam volume rotate payments.pgdata --sign-with payments.key")]
pub(crate) struct Rotate {
    /// The volume, as tenant.name
    volume: VolumeName,
    /// Do not wait for the end
    #[arg(long, short)]
    detach: bool,
    /// The tenant's private key (PEM), where the tenant keeps its own. Its beginning is signed, and its end: with --detach, or
    /// interrupted, give the command again to sign that
    #[arg(long, value_name = "FILE")]
    sign_with: Option<PathBuf>,
}

impl Grow {
    pub(super) fn run(&self, context: &Context) -> Result<Report> {
        let (name, size) = (&self.volume, self.size);
        let place = format!("{}/size", path(name));
        let (grown, signed): (VolumeDetail, _) = match &self.sign_with {
            Some(file) => {
                let act = DeedAct::Grow {
                    volume: name.clone(),
                    size,
                };
                signing::changed(context, file, act)?
            }
            None => (context.daemon.put(&place, &NewSize { size })?, None),
        };
        context.answer(&grown, || {
            let report = Report::default().line(format_args!("{name} has {size}"));
            signing::told(report, signed.as_ref())
        })
    }
}

impl Rotate {
    pub(super) fn run(&self, context: &Context) -> Result<Report> {
        let name = &self.volume;
        let mut detail = self.go_on(context)?;
        if !self.detach {
            let bar = ProgressBar::new(0).with_style(style());
            while is_rotating(&detail) {
                far_enough(name, detail.rotation.as_ref())?;
                if let Some(far) = &detail.rotation {
                    bar.set_length(far.all);
                    bar.set_position(far.all.saturating_sub(far.left));
                }
                thread::sleep(RHYTHM);
                detail = context.daemon.get(&path(name))?;
                // No server moves anything any more: either it is done, and that is to be signed, or it is gone.
                if self.sign_with.is_some() && is_rotating(&detail) && detail.rotation.is_none() {
                    detail = self.go_on(context)?;
                }
            }
            bar.finish_and_clear();
        }
        context.answer(&detail, || match is_rotating(&detail) {
            true => Report::default()
                .line(format_args!("{name} is being encrypted anew"))
                .note(format_args!("see how far it is: cofferdam volume show {name}")),
            false => Report::default().line(format_args!(
                "{name} is encrypted anew; the key before is forgotten"
            )),
        })
    }

    /// Has it begin, go on, or end.
    fn go_on(&self, context: &Context) -> Result<VolumeDetail> {
        let volume = self.volume.clone();
        match &self.sign_with {
            Some(file) => Ok(signing::changed(context, file, DeedAct::Rotate { volume })?.0),
            None => context.daemon.post(&format!("{}/rotate", path(&volume)), &()),
        }
    }
}

fn is_rotating(detail: &VolumeDetail) -> bool {
    let sealed = detail.volume.sealed.as_ref();
    sealed.is_some_and(|sealed| sealed.rotation.is_some())
}

/// What is damaged is never moved: waiting for that would have no end.
fn far_enough(name: &VolumeName, far: Option<&disk::Rotation>) -> Result<()> {
    match far {
        Some(far) if far.damaged > 0 && far.damaged == far.left => Err(Problem::corrupt(format!(
            "{} bytes of {name} are damaged and stay under the key before; everything else is encrypted anew",
            far.damaged
        ))
        .remedy("restore what is damaged from a copy, and delete it in the volume; then do this again")),
        _ => Ok(()),
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes} encrypted anew, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

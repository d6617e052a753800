//! Deeds that a tenant signs where its key is, and not on this host: first it is told what to sign, then it brings that.

use super::asker::Asker;
use super::volumes::create_volume;
use super::{changes, grants, recipients, unsigned};
use crate::daemon::Daemon;
use crate::sealed::Signer;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::SignedDeed;
use cofferdam_model::api::{DeedAct, DeedAnswer, NewDeed};
use cofferdam_model::{Maker, Problem, Result};
use std::sync::Arc;

/// Says what is to be signed, or does what was signed.
///
/// # Errors
/// `corrupt` or `conflict` where the deed is not what was to be signed; whatever the act itself refuses.
pub(crate) fn act_by_deed(daemon: &Arc<Daemon>, asker: &Asker, new: &NewDeed) -> Result<DeedAnswer> {
    match &new.deed {
        None => draft(daemon, asker, &new.act),
        Some(text) => {
            let deed = STANDARD.decode(text).map_err(|_| {
                Problem::invalid("the signed deed is no base64").remedy("send the envelope as it was signed")
            })?;
            perform(daemon, asker, &new.act, &Signer::Elsewhere(deed))
        }
    }
}

fn draft(daemon: &Arc<Daemon>, asker: &Asker, act: &DeedAct) -> Result<DeedAnswer> {
    let drafted = match act {
        DeedAct::Create(new) => {
            let draft = unsigned::draft_volume(daemon, new)?;
            return Ok(draft.map_or(DeedAnswer::Done, |draft| to_sign(&draft, None)));
        }
        DeedAct::Grant(grant) => grants::draft_grant(daemon, grant)?,
        DeedAct::Revoke { volume, app } => grants::draft_revocation(daemon, volume, app)?,
        DeedAct::Grow { volume, size } => changes::draft_growth(daemon, volume, *size)?,
        DeedAct::Share { volume, recipient } => {
            recipients::draft_sharing(daemon, volume, &recipient.parse()?)?
        }
        DeedAct::Unshare { volume, recipient } => {
            recipients::draft_unsharing(daemon, volume, &recipient.parse()?)?
        }
        DeedAct::Rotate { volume } => changes::draft_rotation(daemon, volume)?,
    };
    match drafted {
        Some((draft, current)) => Ok(to_sign(draft.bytes(), Some(&current))),
        // The deed says so already, or there is none: what is left to do needs no signature.
        None => perform(daemon, asker, act, &Signer::Host),
    }
}

fn to_sign(draft: &[u8], current: Option<&SignedDeed>) -> DeedAnswer {
    DeedAnswer::Sign {
        draft: STANDARD.encode(draft),
        current: current.map(|current| STANDARD.encode(current.bytes())),
    }
}

fn perform(daemon: &Arc<Daemon>, asker: &Asker, act: &DeedAct, by: &Signer) -> Result<DeedAnswer> {
    match (act, by) {
        (DeedAct::Create(new), Signer::Elsewhere(deed)) => {
            drop(unsigned::create_signed_volume(daemon, new, deed)?);
        }
        (DeedAct::Create(new), Signer::Host) => drop(create_volume(daemon, new, Maker::Admin)?),
        (DeedAct::Grant(grant), _) => drop(grants::grant(daemon, grant, by)?),
        (DeedAct::Revoke { volume, app }, _) => drop(grants::revoke(daemon, volume, app, false, by)?),
        (DeedAct::Grow { volume, size }, _) => {
            drop(changes::grow_volume(daemon, asker, volume, *size, by)?);
        }
        (DeedAct::Share { volume, recipient }, _) => {
            drop(recipients::share_volume(daemon, volume, &recipient.parse()?, by)?);
        }
        (DeedAct::Unshare { volume, recipient }, _) => {
            drop(recipients::unshare_volume(
                daemon,
                volume,
                &recipient.parse()?,
                by,
            )?);
        }
        (DeedAct::Rotate { volume }, _) => drop(changes::rotate_volume(daemon, volume, by)?),
    }
    Ok(DeedAnswer::Done)
}

//! Volumes as people read them.

use super::path;
use crate::{
    age,
    context::Context,
    layout,
    report::Report,
    verb::{attachments, grant},
};
use cofferdam_model::{ByteSize, Kind, Maker, Result, TenantName, VolumeName, api::VolumeDetail};

pub(super) fn list(tenant: Option<&TenantName>, context: &Context) -> Result<Report> {
    let mut volumes: Vec<VolumeDetail> = context.daemon.get("/v1/volumes")?;
    volumes.retain(|detail| tenant.is_none_or(|tenant| detail.volume.name.tenant() == tenant));
    context.answer(&volumes, || match (volumes.as_slice(), tenant) {
        ([], None) => Report::default().note("no volumes yet; make one with: cofferdam volume create NAME"),
        ([], Some(tenant)) => Report::default().note(format_args!(
            "{tenant} has no volumes; make one with: cofferdam volume create {tenant}.NAME"
        )),
        (volumes, _) => {
            let rows = volumes.iter().map(|detail| row(detail, context)).collect();
            let header = [
                "VOLUME", "KIND", "SIZE", "USED", "SPACE", "ACCESS", "OWNER", "APPS", "HELD BY", "CREATED",
            ];
            Report::default().block(layout::table(header, rows, context.bold))
        }
    })
}

fn row(detail: &VolumeDetail, context: &Context) -> [String; 10] {
    let volume = &detail.volume;
    let held_by = match detail.attachments.as_slice() {
        [] => "-".to_owned(),
        [only] => only.container.short().to_owned(),
        [first, others @ ..] => format!("{} and {} more", first.container.short(), others.len()),
    };
    [
        volume.name.to_string(),
        volume.kind().word().to_owned(),
        volume.size.map_or("-".to_owned(), |size| size.to_string()),
        detail.used.map_or("-".to_owned(), about),
        detail.space.map_or("-".to_owned(), about),
        volume.access.to_string(),
        volume.owner.map_or("-".to_owned(), |owner| owner.to_string()),
        detail.grants.len().to_string(),
        held_by,
        age::relative(volume.created, context.now),
    ]
}

/// A size that was measured, in the largest unit of which there is at least one.
fn about(size: ByteSize) -> String {
    let bytes = size.get();
    [('T', 40), ('G', 30), ('M', 20), ('K', 10)]
        .into_iter()
        .find(|(_, shift)| bytes >> shift > 0)
        .map_or_else(
            || format!("{bytes}"),
            |(unit, shift)| {
                let tenths = ((bytes >> (shift - 10)) * 10) >> 10;
                format!("{}.{}{unit}", tenths / 10, tenths % 10)
            },
        )
}

pub(super) fn show(name: &VolumeName, context: &Context) -> Result<Report> {
    let detail: VolumeDetail = context.daemon.get(&path(name))?;
    context.answer(&detail, || {
        let report = Report::default().block(facts(&detail, context)).line("");
        let report = match detail.grants.as_slice() {
            [] => report.line("no app may open it"),
            grants => report.block(grant::table(grants, context)),
        };
        let report = detail
            .recipients
            .iter()
            .fold(report.line(""), |report, recipient| {
                report.line(format_args!("its key is wrapped for {recipient}"))
            });
        match detail.attachments.as_slice() {
            [] => report.line("no container holds it"),
            held => report.block(attachments::table(held, context)),
        }
    })
}

fn kind(volume: &cofferdam_model::Volume) -> String {
    match &volume.sealed {
        Some(sealed) => format!("sealed, by version {} of its deed", sealed.deed),
        None if volume.ephemeral => "ephemeral: gone with the last container that holds it".to_owned(),
        None => "plain: root on this host can read it".to_owned(),
    }
}

/// How many keys it has, and why.
fn key(detail: &VolumeDetail) -> String {
    let volume = &detail.volume;
    let rotation = volume.sealed.as_ref().and_then(|sealed| sealed.rotation);
    match (volume.kind(), rotation, &detail.rotation) {
        (Kind::Plain, ..) => "none".to_owned(),
        (_, None, _) => "one".to_owned(),
        (_, Some(_), None) => "two: it goes on being encrypted anew when it is next opened".to_owned(),
        (_, Some(_), Some(far)) if far.damaged > 0 && far.damaged == far.left => format!(
            "two: {} of damaged data cannot be encrypted anew",
            about(ByteSize::bytes(far.damaged))
        ),
        (_, Some(_), Some(far)) => format!(
            "two: {} of {} are still to be encrypted anew",
            about(ByteSize::bytes(far.left)),
            about(ByteSize::bytes(far.all))
        ),
    }
}

fn facts(detail: &VolumeDetail, context: &Context) -> layout::Block {
    let volume = &detail.volume;
    let made_by = match volume.maker {
        Maker::Admin => "cofferdam",
        Maker::Docker => "docker",
    };
    let owner = volume.owner.map_or_else(
        || "that of the first container that opens it".to_owned(),
        |owner| owner.to_string(),
    );
    let opened = match volume.epoch.0 {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    layout::facts(&[
        ("volume", volume.name.to_string()),
        ("id", volume.id.to_string()),
        ("kind", kind(volume)),
        (
            "size",
            volume
                .size
                .map_or("none given".to_owned(), |size| size.to_string()),
        ),
        (
            "used",
            detail
                .used
                .map_or("not known: it was never open".to_owned(), about),
        ),
        ("space", detail.space.map_or("not measured".to_owned(), about)),
        ("key", key(detail)),
        ("access", volume.access.to_string()),
        ("owner", owner),
        ("opened", opened),
        ("made by", made_by.to_owned()),
        ("created", age::full(volume.created, context.now)),
    ])
}

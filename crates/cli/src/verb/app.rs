//! `cofferdam app`: trusted applications and their launch rules.

use crate::{age, context::Context, layout, report::Report, signing, visible};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use cofferdam_model::{
    App as Record, AppName, Command, Grant, LaunchRule, NetworkRule, Owner, Privilege, Problem, Result,
    TenantName, UserRule,
    api::{self, DeedAct},
    place,
};
use std::path::{Path, PathBuf};

/// The most characters of an argv in a table.
const ARGV_SHOWN: usize = 40;

/// Make, list and remove applications: what a container must be to open a volume
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  \
    cofferdam app create payments.postgres --image postgres:16\n  \
    cofferdam app show payments.postgres")]
pub(crate) enum App {
    Create(Create),
    Learn(Learn),
    /// List the applications
    #[command(after_help = "Examples:\n  cofferdam app ls\n  cofferdam app ls --tenant payments --json")]
    Ls {
        /// Only this tenant's
        #[arg(long, value_name = "TENANT")]
        tenant: Option<TenantName>,
    },
    /// Show one application and what its containers must be
    #[command(after_help = "Examples:\n  cofferdam app show payments.postgres")]
    Show {
        /// The application, as tenant.name
        app: AppName,
    },
    /// Remove an application, and what it was granted
    #[command(after_help = "Examples:\n  \
        cofferdam app rm payments.postgres\n  \
        cofferdam app rm payments.postgres --sign-with payments.key")]
    Rm {
        /// The application, as tenant.name
        app: AppName,
        /// The tenant's private key (PEM), where the tenant keeps its own: its volumes' deeds are signed without the application
        #[arg(long, value_name = "FILE")]
        sign_with: Option<PathBuf>,
    },
}

/// Make an application: pin an image, and say what its containers may be
///
/// The rule is strict: the image's own command, directory and environment, a root filesystem that nobody has changed, a network of
/// its own, no mounts from outside, nothing laid over the image's own files, no added privilege. Each option relaxes one point.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam app create payments.postgres --image postgres:16\n  \
    cofferdam app create payments.report --image debian:12 --user 1000:1000 -- /usr/bin/report --daily\n  \
    cofferdam app create payments.api --image api:3 --require-ticket\n  \
    cofferdam app create payments.postgres --image postgres:16 --allow-env POSTGRES_PASSWORD\n  \
    cofferdam app create payments.postgres --replace --image postgres:16 --allow-env POSTGRES_DB\n  \
    cofferdam app create payments.cache --image redis:7 --allow-healthcheck 'redis-cli ping'\n  \
    cofferdam app create web --image nginx:1.27 --allow-mount /etc/nginx/conf.d --allow cap:NET_ADMIN")]
pub(crate) struct Create {
    /// The application, as tenant.name
    app: AppName,
    /// An image that the engine has, or the digest of its config (sha256:…). Its digest is pinned now
    #[arg(long)]
    image: String,
    /// The user it must run as; GID is UID's number unless given. Any user where this is left out
    #[arg(long, value_name = "UID[:GID]", value_parser = parse_user)]
    user: Option<Owner>,
    /// The network it may be in: its own, also the host's, or any other container's too
    #[arg(long, default_value = "own", value_parser = network_parser())]
    network: NetworkRule,
    /// The directory it must work in. The image's own where this is left out
    #[arg(long, value_name = "DIR", value_parser = parse_destination)]
    workdir: Option<String>,
    /// A destination at which a mount from outside is allowed, or a volume or tmpfs over the image's own files; can
    /// be given again
    #[arg(long, value_name = "DEST", value_parser = parse_destination)]
    allow_mount: Vec<String>,
    /// A name that may be in the environment besides the image's own, such as POSTGRES_PASSWORD; can be given again
    #[arg(long, value_name = "NAME")]
    allow_env: Vec<String>,
    /// A group, by number, that it may be in besides those that the image gives its user (docker run --group-add); can be given
    /// again
    #[arg(long, value_name = "GID")]
    allow_group: Vec<u32>,
    /// A place below which the root filesystem need not be the image's, such as a file that is copied into the container before
    /// it starts, or that its entrypoint changes; / for any. Can be given again
    #[arg(long, value_name = "PLACE", value_parser = parse_destination)]
    allow_changed: Vec<String>,
    /// A privilege that is allowed, such as cap:NET_ADMIN, device:/dev/fuse or namespace:ipc; can be given again
    #[arg(long, value_name = "PRIVILEGE")]
    allow: Vec<Privilege>,
    /// A healthcheck that may run besides the image's own, written as after HEALTHCHECK CMD in a Dockerfile: a line for the shell, or
    /// ["program", "argument"]
    #[arg(long, value_name = "COMMAND", value_parser = parse_healthcheck)]
    allow_healthcheck: Option<Healthcheck>,
    /// Its containers must not be able to gain privileges by set-uid programs (docker run --security-opt no-new-privileges)
    #[arg(long)]
    require_no_new_privileges: bool,
    /// Its containers must bring a ticket that the tenant has signed (cofferdam ticket issue): for images that other
    /// tenants of the host may run as well
    #[arg(long)]
    require_ticket: bool,
    /// Give an application that exists already this rule in place of its own. What it was granted by its own tenant stays; what
    /// other tenants granted it ends
    #[arg(long)]
    replace: bool,
    /// The whole argv it must run with, the program first. The image's own where this is left out
    #[arg(last = true)]
    argv: Vec<String>,
}

/// Make an application from a container that runs: its rule fits that container, and lets in as little else as it can
///
/// What the rule lets in beyond the image's ordinary container is told, and what no rule can let in.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cofferdam app learn payments.postgres --container postgres-1\n  \
    cofferdam app learn payments.postgres --container 3f2a --dry-run")]
pub(crate) struct Learn {
    /// The application, as tenant.name
    app: AppName,
    /// The container: its name, its id, or the beginning of that. It must run, with any runtime
    #[arg(long, value_name = "CONTAINER")]
    container: String,
    /// Tell what would be made, and make nothing
    #[arg(long)]
    dry_run: bool,
}

impl Learn {
    fn run(&self, context: &Context) -> Result<Report> {
        let asked = api::Learn {
            app: self.app.clone(),
            container: self.container.clone(),
        };
        let learned: api::Learned = context.daemon.post("/v1/learn", &asked)?;
        if !self.dry_run && learned.cannot.is_empty() {
            context.daemon.post::<Record>("/v1/apps", &learned.app)?;
        }
        context.answer(&learned, || self.told(&learned))
    }

    fn told(&self, learned: &api::Learned) -> Report {
        let container = learned.container.short();
        let made = match (learned.cannot.is_empty(), self.dry_run) {
            (false, _) => format!(
                "no rule fits container {container}, and {} was not made",
                self.app
            ),
            (true, true) => format!("{} would be what container {container} is", self.app),
            (true, false) => format!("{} is what container {container} is", self.app),
        };
        let report = Report::default().line(format_args!("{made}: image {}", learned.app.image));
        let report = learned.lets_in.iter().fold(report, |report, sentence| {
            report.note(format_args!("it lets in {}", visible::visible(sentence)))
        });
        learned.cannot.iter().fold(report, |report, sentence| {
            report.note(format_args!("it cannot: {}", visible::visible(sentence)))
        })
    }
}

fn network_parser() -> impl TypedValueParser<Value = NetworkRule> {
    PossibleValuesParser::new(["own", "host", "any"]).map(|word| match word.as_str() {
        "host" => NetworkRule::Host,
        "any" => NetworkRule::Any,
        _ => NetworkRule::Own,
    })
}

fn parse_user(text: &str) -> Result<Owner> {
    let wrong = || {
        let shown: String = text.chars().take(40).collect();
        Problem::invalid(format!("{shown:?} is not a user"))
            .remedy("write numbers, UID or UID:GID, such as 999:999")
    };
    let number = |digits: &str| match digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse::<u32>().map_err(|_| wrong()),
        false => Err(wrong()),
    };
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    Ok(Owner {
        uid: number(uid)?,
        gid: number(gid)?,
    })
}

/// The argv that Docker execs for a healthcheck.
#[derive(Debug, Clone)]
struct Healthcheck(Vec<String>);

/// As in a Dockerfile: what is no JSON list is for the shell.
fn parse_healthcheck(text: &str) -> Result<Healthcheck> {
    if text.trim().is_empty() {
        return Err(Problem::invalid("an empty healthcheck").remedy("leave it out for the image's own"));
    }
    let argv = serde_json::from_str::<Vec<String>>(text);
    let shell = |_| ["/bin/sh", "-c", text].map(str::to_owned).to_vec();
    Ok(Healthcheck(argv.unwrap_or_else(shell)))
}

fn parse_destination(text: &str) -> Result<String> {
    if let Some(place) = place::plain(text) {
        return Ok(place.to_owned());
    }
    let shown: String = text.chars().take(80).collect();
    Err(
        Problem::invalid(format!("{shown:?} is not a place in a container"))
            .remedy("write a path from /, without //, . or .."),
    )
}

impl App {
    pub(crate) fn run(&self, context: &Context) -> Result<Report> {
        match self {
            App::Create(create) => create.run(context),
            App::Learn(learn) => learn.run(context),
            App::Ls { tenant } => list(tenant.as_ref(), context),
            App::Show { app } => show(app, context),
            App::Rm { app, sign_with } => remove(app, sign_with.as_deref(), context),
        }
    }
}

fn path(name: &AppName) -> String {
    format!("/v1/apps/{name}")
}

impl Create {
    fn run(&self, context: &Context) -> Result<Report> {
        let before: Option<Record> = context.before(&path(&self.app))?;
        let app: Record = context.daemon.post("/v1/apps", &self.body())?;
        context.answer(&app, || {
            let pinned = format!("{} is {} at {}", app.name, app.image_reference, app.rule.image);
            match before {
                Some(before) if before.rule != app.rule => {
                    Report::default().line(format_args!("{pinned} (its rule was replaced)"))
                }
                Some(_) => Report::default().line(format_args!("{pinned} (exists already, unchanged)")),
                None => Report::default().line(pinned),
            }
        })
    }

    fn body(&self) -> api::NewApp {
        api::NewApp {
            name: self.app.clone(),
            image: self.image.clone(),
            command: match self.argv.as_slice() {
                [] => Command::Image,
                argv => Command::Exactly(argv.to_vec()),
            },
            user: self.user.map_or(UserRule::Any, UserRule::Exactly),
            cwd: self.workdir.clone(),
            network: self.network,
            mounts: self.allow_mount.iter().cloned().collect(),
            env: self.allow_env.iter().cloned().collect(),
            groups: self.allow_group.iter().copied().collect(),
            changed: self.allow_changed.iter().cloned().collect(),
            allow: self.allow.iter().cloned().collect(),
            healthcheck: self.allow_healthcheck.clone().map(|Healthcheck(argv)| argv),
            no_new_privileges: self.require_no_new_privileges,
            ticket: self.require_ticket,
            replace: self.replace,
        }
    }
}

fn list(tenant: Option<&TenantName>, context: &Context) -> Result<Report> {
    let mut apps: Vec<Record> = context.daemon.get("/v1/apps")?;
    apps.retain(|app| tenant.is_none_or(|tenant| app.name.tenant() == tenant));
    context.answer(&apps, || match (apps.as_slice(), tenant) {
        ([], None) => {
            Report::default().note("no apps yet; make one with: cofferdam app create APP --image IMAGE")
        }
        ([], Some(tenant)) => Report::default().note(format_args!(
            "{tenant} has no apps; make one with: cofferdam app create {tenant}.NAME --image IMAGE"
        )),
        (apps, _) => {
            let rows = apps.iter().map(|app| row(app, context)).collect();
            let header = ["APP", "IMAGE", "DIGEST", "COMMAND", "USER", "CREATED"];
            Report::default().block(layout::table(header, rows, context.bold))
        }
    })
}

fn row(app: &Record, context: &Context) -> [String; 6] {
    [
        app.name.to_string(),
        app.image_reference.clone(),
        app.rule.image.short(),
        layout::cut(&command(&app.rule), ARGV_SHOWN),
        user(&app.rule),
        age::relative(app.created, context.now),
    ]
}

fn show(name: &AppName, context: &Context) -> Result<Report> {
    let app: Record = context.daemon.get(&path(name))?;
    context.answer(&app, || {
        let rule = &app.rule;
        let network = match rule.network {
            NetworkRule::Own => "its own",
            NetworkRule::Host => "its own or the host's",
            NetworkRule::Any => "any",
        };
        Report::default().block(layout::facts(&[
            ("app", app.name.to_string()),
            ("image", app.image_reference.clone()),
            ("digest", rule.image.to_string()),
            ("command", command(rule)),
            ("user", user(rule)),
            ("directory", directory(rule)),
            ("network", network.to_owned()),
            ("allowed mounts", listed(rule.mounts.iter())),
            ("added environment", listed(rule.env.iter())),
            ("added groups", listed(rule.groups.iter())),
            ("may be changed", listed(rule.changed.iter())),
            ("added privileges", listed(rule.allow.iter())),
            ("added healthcheck", healthcheck(rule)),
            (
                "new privileges",
                if rule.no_new_privileges {
                    "none may be gained"
                } else {
                    "as the engine has it"
                }
                .to_owned(),
            ),
            ("ticket", ticket(rule).to_owned()),
            ("created", age::full(app.created, context.now)),
        ]))
    })
}

fn remove(name: &AppName, sign_with: Option<&Path>, context: &Context) -> Result<Report> {
    if let Some(file) = sign_with {
        let grants: Vec<Grant> = context.daemon.get("/v1/grants")?;
        let own = |grant: &Grant| grant.app == *name && grant.volume.tenant() == name.tenant();
        for Grant { volume, app, .. } in grants.into_iter().filter(own) {
            signing::act(context, file, true, DeedAct::Revoke { volume, app })?;
        }
    }
    let app: Record = context.daemon.delete(&path(name))?;
    context.answer(&app, || {
        Report::default().line(format_args!("{} removed", app.name))
    })
}

fn command(rule: &LaunchRule) -> String {
    match &rule.command {
        Command::Image => "the image's own".to_owned(),
        Command::Exactly(argv) => visible::argv(argv),
    }
}

fn healthcheck(rule: &LaunchRule) -> String {
    rule.healthcheck
        .as_deref()
        .map_or_else(|| "none".to_owned(), visible::argv)
}

fn user(rule: &LaunchRule) -> String {
    match rule.user {
        UserRule::Any => "any".to_owned(),
        UserRule::Exactly(owner) => owner.to_string(),
    }
}

fn ticket(rule: &LaunchRule) -> &'static str {
    if rule.ticket { "required" } else { "not required" }
}

fn directory(rule: &LaunchRule) -> String {
    rule.cwd.clone().unwrap_or_else(|| "the image's own".to_owned())
}

fn listed<T: ToString>(items: impl Iterator<Item = T>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => "none".to_owned(),
        items => items.join(", "),
    }
}

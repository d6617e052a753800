//! Real servers, in images as their publishers make them.

use super::{NETWORK, PATIENCE, Work, address, client, network, surveyed};
use crate::{
    Outcome,
    cases::{Launch, Scene, cases},
    command::same,
    failure::{During, ensure},
    http,
    process::until,
    service_images::{self, NGINX, POSTGRES, REDIS},
};
use std::{fs, net::SocketAddr, path::PathBuf};

cases!("survey":
    a_web_server_whose_configuration_is_bound,
    a_web_server_whose_root_filesystem_is_read_only,
    a_web_server_that_its_environment_configures,
    a_database_that_its_environment_configures,
    a_cache_that_drops_its_privileges,
    a_cache_that_is_not_root,
);

/// Where nginx has what it serves.
const PAGES: &str = "/usr/share/nginx/html";

/// A file of the host's, for nginx.
fn configuration(scene: &Scene, name: &str, port: &str) -> Outcome<PathBuf> {
    let place = scene.host.scratch().join("survey");
    fs::create_dir_all(&place)?;
    let path = place.join(name);
    fs::write(
        &path,
        format!("server {{\n    listen {port};\n    root {PAGES};\n}}\n"),
    )?;
    Ok(path)
}

/// The page that came with the image, as the volume has it, over the network.
fn serves(scene: &Scene, id: &str, port: u16) -> Outcome {
    let server = SocketAddr::new(address(scene, id)?, port);
    until("nginx serves the page", PATIENCE, || {
        http::get(server, "/").is_ok_and(|answer| answer.status == 200)
    })?;
    let page = http::get(server, "/index.html")?.body;
    ensure(page.contains("Welcome to nginx!"), || page)
}

fn a_web_server_whose_configuration_is_bound(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    network(scene)?;
    let site = configuration(scene, "site.conf", "8080")?.display().to_string();
    let usual = Launch::of(NGINX).options(&["--network", NETWORK]);
    let launch = usual.clone().volume(&site, "/etc/nginx/conf.d/site.conf:ro");
    let work = |scene: &Scene, id: &str, _| serves(scene, id, 8080);
    let changed = [
        launch.clone().volume(&site, "/etc/nginx/mime.types:ro"),
        launch.clone().argv(&["nginx", "-g", "daemon off; user root;"]),
        launch.clone().options(&["--env", "LD_PRELOAD=/tmp/x.so"]),
    ];
    surveyed(scene, &launch, PAGES, Work::of(&work), &changed)
}

fn a_web_server_whose_root_filesystem_is_read_only(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    network(scene)?;
    let options = [
        "--network",
        NETWORK,
        "--read-only",
        "--tmpfs",
        "/run",
        "--tmpfs",
        "/var/lib/nginx",
    ];
    let launch = Launch::of(NGINX).options(&options);
    let work = |scene: &Scene, id: &str, _| serves(scene, id, 80);
    let changed = [launch.clone().options(&["--tmpfs", "/etc/nginx"])];
    surveyed(scene, &launch, PAGES, Work::of(&work), &changed)
}

/// Its entrypoint fills in a template that is bound, and writes what comes of it into its own root filesystem.
fn a_web_server_that_its_environment_configures(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    network(scene)?;
    let template = configuration(scene, "site.conf.template", "${SITE_PORT}")?;
    let directory = template.parent().during("a directory")?.display().to_string();
    let launch = Launch::of(NGINX)
        .options(&["--network", NETWORK, "--env", "SITE_PORT=8081"])
        .volume(&directory, "/etc/nginx/templates:ro");
    let work = |scene: &Scene, id: &str, _| serves(scene, id, 8081);
    let changed = [launch.clone().options(&["--env", "OTHER=1"])];
    surveyed(scene, &launch, PAGES, Work::of(&work), &changed)
}

/// As the published image has it: `POSTGRES_PASSWORD` and its like say what is made at the first start.
fn a_database_that_its_environment_configures(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    network(scene)?;
    let options = [
        "--network",
        NETWORK,
        "--env",
        "POSTGRES_PASSWORD=secret",
        "--env",
        "POSTGRES_DB=shop",
    ];
    let launch = Launch::of(POSTGRES).options(&options);
    let work = |scene: &Scene, id: &str, turns: usize| {
        let server = format!("postgres://postgres:secret@{}/shop", address(scene, id)?);
        let ask = |question: &str| {
            let argv = ["psql", &server, "--tuples-only", "--no-align", "-c", question];
            client(scene, NETWORK, POSTGRES, &argv)
        };
        until("PostgreSQL answers", PATIENCE, || {
            ask("select 1").is_ok_and(|ran| ran.is_ok())
        })?;
        ask("create table if not exists visits (at timestamp default now())")?.ok()?;
        ask("insert into visits default values")?.ok()?;
        let visits = ask("select count(*) from visits")?.ok()?.text();
        same("visits", visits, (turns + 1).to_string())
    };
    let changed = [
        launch.clone().options(&["--env", "PGDATA=/tmp"]),
        launch.clone().argv(&["postgres", "-c", "archive_command=sh"]),
    ];
    surveyed(
        scene,
        &launch,
        "/var/lib/postgresql/data",
        Work::of(&work),
        &changed,
    )
}

/// What is kept of each visit after every turn.
fn counts(scene: &Scene, id: &str, turns: usize) -> Outcome {
    let server = address(scene, id)?.to_string();
    let ask = |words: &[&str]| {
        let argv = [&["redis-cli", "-h", &server], words].concat();
        client(scene, NETWORK, REDIS, &argv)
    };
    until("Redis answers", PATIENCE, || {
        ask(&["ping"]).is_ok_and(|ran| ran.text() == "PONG")
    })?;
    let visits = ask(&["incr", "visits"])?.ok()?.text();
    same("visits", visits, (turns + 1).to_string())
}

/// The command of a cache that others reach and that keeps what it has.
const CACHE: [&str; 5] = ["redis-server", "--appendonly", "yes", "--protected-mode", "no"];

/// It is root first, gives its data to a user of its own, and goes on as that one.
fn a_cache_that_drops_its_privileges(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    network(scene)?;
    let launch = Launch::of(REDIS).options(&["--network", NETWORK]).argv(&CACHE);
    let changed = [launch.clone().argv(&["redis-server", "--dbfilename", "x"])];
    surveyed(scene, &launch, "/data", Work::of(&counts), &changed)
}

fn a_cache_that_is_not_root(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    network(scene)?;
    let launch = Launch::of(REDIS)
        .options(&["--network", NETWORK, "--user", "redis"])
        .argv(&CACHE);
    let changed = [launch.clone().options(&["--user", "1001:1001"])];
    surveyed(scene, &launch, "/data", Work::of(&counts), &changed)
}

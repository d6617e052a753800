//! A project of three services, by the real compose, where Cofferdam's is the engine's default runtime.

use super::{PATIENCE, address, client, learn};
use crate::{
    Outcome, Ran,
    cases::{Scene, cases},
    command::same,
    http, image,
    process::until,
    service_images::{self, POSTGRES},
};
use std::{fs, net::SocketAddr, path::PathBuf};

cases!("survey":
    a_compose_project_with_three_services,
);

/// The project's name; compose makes the names of all else from it.
const PROJECT: &str = "shop";

/// What people write in a Dockerfile of their own: a directory that the server may write.
const DATABASE: &str = "FROM postgres:published
RUN install --directory --owner=postgres --group=postgres /exports
";

/// The services, as they are before Cofferdam and after.
const SERVICES: &str = "version: '3.8'
services:
  db:
    image: shop-db:1
    environment:
      POSTGRES_PASSWORD: secret
      POSTGRES_DB: shop
    volumes:
      - pgdata:/var/lib/postgresql/data
      - exports:/exports
    healthcheck:
      test: pg_isready --host localhost --username postgres
      interval: 1s
      retries: 60
  cache:
    image: redis:published
    command: redis-server --appendonly yes --protected-mode no
    restart: unless-stopped
    volumes:
      - cachedata:/data
  web:
    image: nginx:published
    depends_on: [db, cache]
    volumes:
      - ./site.conf:/etc/nginx/conf.d/default.conf:ro
      - exports:/exports:ro
";

/// The volumes, as compose makes them of Docker's own.
const OF_DOCKER: &str = "volumes:
  pgdata: {}
  cachedata: {}
  exports: {}
";

/// A project in a directory of its own.
struct Project<'s, 'h> {
    scene: &'s Scene<'h>,
    file: PathBuf,
}

impl<'s, 'h> Project<'s, 'h> {
    fn new(scene: &'s Scene<'h>) -> Outcome<Self> {
        let place = scene.host.scratch().join(PROJECT);
        fs::create_dir_all(&place)?;
        fs::write(
            place.join("site.conf"),
            "server {\n    listen 80;\n    root /exports;\n}\n",
        )?;
        Ok(Project {
            scene,
            file: place.join("docker-compose.yml"),
        })
    }

    fn write(&self, services: &str, volumes: &str) -> Outcome {
        Ok(fs::write(&self.file, format!("{services}{volumes}"))?)
    }

    fn compose(&self, words: &[&str]) -> Outcome<Ran> {
        let words = [&["--project-name", PROJECT], words].concat();
        self.scene.host.compose(&self.file, &words)
    }

    /// What a service's container is called.
    fn container(&self, service: &str) -> Outcome<String> {
        let of = |what: &str, name: &str| format!("label=com.docker.compose.{what}={name}");
        let (project, service) = (of("project", PROJECT), of("service", service));
        let filter = ["--filter", &project, "--filter", &service];
        let line = [&["ps", "--format", "{{.Names}}"], &filter[..]].concat();
        Ok(self.scene.docker(&line)?.ok()?.text())
    }

    fn ask(&self, image: &str, argv: &[&str]) -> Outcome<Ran> {
        client(self.scene, &format!("{PROJECT}_default"), image, argv)
    }

    /// Everything does its work: `turns` is how often it did so before.
    fn works(&self, turns: usize) -> Outcome {
        let query = |text: &str| {
            let server = "postgres://postgres:secret@db/shop";
            self.ask(
                POSTGRES,
                &["psql", server, "--tuples-only", "--no-align", "-c", text],
            )
        };
        until("PostgreSQL answers", PATIENCE, || {
            query("select 1").is_ok_and(|ran| ran.is_ok())
        })?;
        query("create table if not exists sales (at timestamp default now())")?.ok()?;
        query("insert into sales default values")?.ok()?;
        query("copy (select count(*) from sales) to '/exports/sales.csv'")?.ok()?;
        let expected = (turns + 1).to_string();
        let visits = || self.ask(POSTGRES, &["redis-cli", "-h", "cache", "incr", "visits"]);
        until("Redis answers", PATIENCE, || {
            self.ask(POSTGRES, &["redis-cli", "-h", "cache", "ping"])
                .is_ok_and(|ran| ran.text() == "PONG")
        })?;
        same("visits", visits()?.ok()?.text(), expected.clone())?;
        let web = SocketAddr::new(address(self.scene, &self.container("web")?)?, 80);
        until("nginx answers", PATIENCE, || http::get(web, "/").is_ok())?;
        let page = http::get(web, "/sales.csv")?;
        same("what the database has exported", page.body.trim(), &expected)?;
        super::becomes(self.scene, &self.container("db")?, "healthy")
    }
}

fn a_compose_project_with_three_services(scene: &mut Scene) -> Outcome {
    service_images::make(scene.host)?;
    image::build(scene.host, "shop-db:1", DATABASE, &[])?;
    scene.host.default_runtime("cofferdam")?;
    let outcome = project(scene);
    scene.host.default_runtime("runc")?;
    outcome
}

fn project(scene: &Scene) -> Outcome {
    let project = Project::new(scene)?;
    project.write(SERVICES, OF_DOCKER)?;
    project.compose(&["up", "-d"])?.ok()?;
    project.works(0)?;
    for service in ["db", "cache", "web"] {
        learn(scene, &scene.named(service), &project.container(service)?)?;
    }
    down(&project, &["--volumes"])?;

    // From here on with Cofferdam's.
    let volumes = adopted(scene)?;
    project.write(SERVICES, &volumes)?;
    project.compose(&["up", "-d"])?.ok()?;
    project.works(0)?;
    project.compose(&["stop"])?.ok()?;
    scene.nothing_is_held()?;
    project.compose(&["start"])?.ok()?;
    project.works(1)?;
    project.compose(&["restart"])?.ok()?;
    project.works(2)?;
    down(&project, &[])?;
    scene.nothing_is_held()?;
    project.compose(&["up", "-d"])?.ok()?;
    project.works(3)?;

    // A service that is changed where its rule does not let it in is made anew by compose, and does not start.
    for (from, to) in [
        ("/etc/nginx/conf.d/default.conf:ro", "/etc/nginx/mime.types:ro"),
        ("POSTGRES_DB: shop", "PGUSER: shop"),
    ] {
        project.write(&SERVICES.replace(from, to), &volumes)?;
        project
            .compose(&["up", "-d"])?
            .refused(&["cofferdam:", "is not open to this container"])?;
    }
    project.write(SERVICES, &volumes)?;
    project.compose(&["up", "-d"])?.ok()?;
    project.works(4)?;
    down(&project, &[])
}

/// Ends it all; the client goes first, or its network stays.
fn down(project: &Project<'_, '_>, more: &[&str]) -> Outcome {
    let client = format!("client-{PROJECT}_default");
    project.scene.docker(&["rm", "--force", &client])?.ok()?;
    project.compose(&[&["down"], more].concat())?.ok().map(drop)
}

/// Makes the volumes, with a grant for whoever was learned from; answers the end of the compose file.
fn adopted(scene: &Scene) -> Outcome<String> {
    let (data, cache) = (
        scene.volume("pgdata", &["--size", "1G"])?,
        scene.volume("cachedata", &["--size", "64M"])?,
    );
    let exports = scene.volume("exports", &["--access", "shared", "--size", "64M"])?;
    scene.grant(&data, &scene.named("db"), &[])?;
    scene.grant(&exports, &scene.named("db"), &[])?;
    scene.grant(&cache, &scene.named("cache"), &[])?;
    scene.grant(&exports, &scene.named("web"), &["--read-only"])?;
    let external = |label: &str, name: &str| format!("  {label}:\n    external: true\n    name: {name}\n");
    Ok(["volumes:\n".to_owned()]
        .into_iter()
        .chain([
            external("pgdata", &data),
            external("cachedata", &cache),
            external("exports", &exports),
        ])
        .collect())
}

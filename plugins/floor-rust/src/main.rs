//! floor-rust: a plugin in Rust on plain tonic, with none of plugind's code.
//!
//! It does what sdk/README.md asks of a plugin in any language, and no more:
//!
//! 1. check the magic cookie, so that whoever runs it by hand learns what it is;
//! 2. choose a protocol version that the host offers;
//! 3. serve gRPC, and grpc.health.v1, on a Unix socket in PLUGIN_UNIX_SOCKET_DIR;
//! 4. print one line that says where, as soon as it listens;
//! 5. end on SIGTERM: health first, then the running calls, then the process with 0.
//!
//! What it prints on stderr becomes plugind's log. `plugins.d/hash.toml` needs one line:
//! `command = ["/usr/lib/plugind/plugins/floor-rust"]`.

use std::env;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

mod pb {
    tonic::include_proto!("hash.v1");
}
use pb::hash_server::{Hash, HashServer};
use pb::{DigestRequest, DigestResponse};

/// The versions of the application's protocol that this plugin speaks, the lowest first.
const PROTOCOL_VERSIONS: [u32; 1] = [1];
/// How long running calls may take once the plugin is told to end.
const LAST_CALLS: Duration = Duration::from_secs(5);
/// The names that health is known by: hosts ask for "plugin" or for "".
const HEALTH_NAMES: [&str; 2] = ["plugin", ""];

struct Hasher;

#[tonic::async_trait]
impl Hash for Hasher {
    async fn digest(
        &self,
        request: Request<DigestRequest>,
    ) -> Result<Response<DigestResponse>, Status> {
        let data = request.into_inner().data;
        Ok(Response::new(answer(
            Sha256::new_with_prefix(&data),
            data.len() as u64,
        )))
    }

    async fn digest_stream(
        &self,
        request: Request<Streaming<DigestRequest>>,
    ) -> Result<Response<DigestResponse>, Status> {
        let mut pieces = request.into_inner();
        let (mut hash, mut size) = (Sha256::new(), 0);
        while let Some(piece) = pieces.message().await? {
            hash.update(&piece.data);
            size += piece.data.len() as u64;
        }
        Ok(Response::new(answer(hash, size)))
    }
}

fn answer(hash: Sha256, size: u64) -> DigestResponse {
    let sha256 = format!("{:x}", hash.finalize());
    DigestResponse { sha256, size }
}

/// The highest version that both sides have. Without one the lowest of ours: the host then says what is wrong.
fn protocol_version() -> u32 {
    let offered = env::var("PLUGIN_PROTOCOL_VERSIONS").unwrap_or_default();
    offered
        .split(',')
        .filter_map(|version| version.trim().parse().ok())
        .filter(|version| PROTOCOL_VERSIONS.contains(version))
        .max()
        .unwrap_or(PROTOCOL_VERSIONS[0])
}

/// plugind's directory is this process's own; in another one the name must be free.
fn socket_path() -> PathBuf {
    let directory = env::var_os("PLUGIN_UNIX_SOCKET_DIR").map_or_else(env::temp_dir, PathBuf::from);
    directory.join(format!("hash-{}.sock", std::process::id()))
}

async fn serve() -> Result<(), Box<dyn Error>> {
    // Before the handshake: the host may want the plugin to end as soon as it has read that.
    let mut terminate = signal(SignalKind::terminate())?;

    let path = socket_path();
    let listener = UnixListener::bind(&path)?;
    let (health, health_service) = tonic_health::server::health_reporter();
    for name in HEALTH_NAMES {
        health
            .set_service_status(name, ServingStatus::Serving)
            .await;
    }

    let (ending, ended) = oneshot::channel();
    let server = Server::builder()
        .add_service(health_service)
        .add_service(HashServer::new(Hasher))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async move {
            terminate.recv().await;
            end_health(health).await;
            // Nobody hears of it if the server has already ended by itself.
            let _ = ending.send(());
        });

    // Only now, because the host connects as soon as it reads this; one write, and flushed.
    let line = format!("1|{}|unix|{}|grpc\n", protocol_version(), path.display());
    std::io::stdout().write_all(line.as_bytes())?;
    std::io::stdout().flush()?;

    let out_of_time = async {
        match ended.await {
            Ok(()) => tokio::time::sleep(LAST_CALLS).await,
            Err(_) => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        served = server => served,
        () = out_of_time => Ok(()),
    };
    std::fs::remove_file(&path)?;
    Ok(outcome?)
}

/// Says NOT_SERVING to whoever watches, and ends the watches: the server would wait for them.
async fn end_health(health: HealthReporter) {
    for name in HEALTH_NAMES {
        health
            .set_service_status(name, ServingStatus::NotServing)
            .await;
    }
    let mut health = health;
    for name in HEALTH_NAMES {
        health.clear_service_status(name).await;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if env::var("PLUGIND_PLUGIN").as_deref() != Ok("1") {
        eprintln!(
            "floor-rust is a plugin: plugind starts it and calls it over gRPC. To run it, name it\n\
             in plugins.d/hash.toml beside plugind.toml, then: pluginctl reload"
        );
        return ExitCode::FAILURE;
    }
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor-rust: {error}");
            ExitCode::FAILURE
        }
    }
}

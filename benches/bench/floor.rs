//! The floor: what actix-web itself costs. One worker, one handler that answers the bytes it was told to answer.
//!
//! `PATCH` tells it the body of lists; registrations are answered `ok`, beats as the node answers them. The rest of the head
//! is what the node sends too, so that both answers have the same bytes.

use actix_web::http::Method;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use actix_web::web::{self, Bytes, Payload};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::StreamExt;
use std::time::Duration;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
const BEAT: &[u8] = br#"{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}"#;
/// Connections of a worker: as many as a node's.
const CONNECTIONS: usize = 10_000;

thread_local! {
    /// The body of lists; there is one worker.
    static LIST: std::cell::RefCell<Bytes> = const { std::cell::RefCell::new(Bytes::from_static(b"{}")) };
}

async fn answer(request: HttpRequest, mut payload: Payload) -> HttpResponse {
    let mut body = Vec::new();
    if request.headers().contains_key(CONTENT_LENGTH) {
        while let Some(Ok(chunk)) = payload.next().await {
            body.extend_from_slice(&chunk);
        }
    }
    let (kind, bytes) = match *request.method() {
        Method::GET => (JSON, LIST.with_borrow(Bytes::clone)),
        Method::PUT => (JSON, Bytes::from_static(BEAT)),
        Method::PATCH => {
            LIST.set(Bytes::from(body));
            (TEXT, Bytes::from_static(b"ok"))
        }
        _ => (TEXT, Bytes::from_static(b"ok")),
    };
    HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).body(bytes)
}

/// Serves until its standard input ends, which it does when the benchmark does.
pub fn serve(port: u16) -> std::io::Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    actix_rt::System::new().block_on(async move {
        HttpServer::new(|| App::new().default_service(web::to(answer)))
            .workers(1)
            .keep_alive(Duration::from_secs(75))
            .max_connections(CONNECTIONS)
            .disable_signals()
            .bind(("127.0.0.1", port))?
            .run()
            .await
    })
}

//! A server for the tests of the client verbs: hears requests on a port of its own and answers each as the test says.

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

pub struct Stub {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    _server: ServerHandle,
}

impl Stub {
    /// `answer` is given `METHOD /path?query` and says status and body.
    #[allow(clippy::disallowed_methods, reason = "there is no actor here to tie the server to")]
    pub fn start(answer: impl Fn(&str) -> (u16, String) + Clone + Send + 'static) -> Stub {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let book = heard.clone();
        let server = HttpServer::new(move || {
            let (answer, book) = (answer.clone(), book.clone());
            App::new().default_service(web::to(move |request: HttpRequest| {
                let line = format!("{} {}", request.method(), request.uri());
                let (status, body) = answer(&line);
                book.lock().expect("no test panics while it holds the book").push(line);
                let status = StatusCode::from_u16(status).expect("tests name real statuses");
                async move { HttpResponse::build(status).body(body) }
            }))
        });
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).expect("a free port on the loopback");
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Stub { address, heard, _server: handle }
    }

    pub fn url(&self) -> String {
        format!("http://{}/nacos", self.address)
    }

    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("no test panics while it holds the book").clone()
    }
}

//! Requests, rendered before anything is measured. What differs from one to the next is written into holes of fixed width,
//! so that sending one allocates nothing and its length never changes.
//!
//! A hole is written `<width/divide%modulo+plus>`: for request `n` it holds `n / divide % modulo + plus`, zero-padded.

/// What `Nacos-Java-Client` 1.1.4 sends with each request besides `Host`.
const JAVA_HEADERS: &str = "Client-Version: 1.1.4\r\nUser-Agent: Nacos-Java-Client:v1.1.4\r\nAccept-Encoding: gzip,deflate,sdch\r\n\
    RequestId: 6d7a3b5e-1c2d-4e5f-8a9b-0c1d2e3f4a5b\r\nRequest-Module: Naming\r\nAccept: */*\r\nConnection: Keep-Alive\r\n";
const SHORT_HEADERS: &str = "User-Agent: Nacos-Java-Client:v1.1.4\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[derive(Clone, Copy)]
struct Hole {
    at: usize,
    width: usize,
    divide: u64,
    modulo: u64,
    plus: u64,
}

#[derive(Clone)]
pub struct Request {
    bytes: Vec<u8>,
    holes: Vec<Hole>,
    /// After so many it begins anew.
    period: u64,
}

/// Which headers requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    Short,
    Java,
}

impl Request {
    /// `target` is below `/nacos/v1/ns`.
    pub fn new(method: &str, target: &str, headers: Headers) -> Request {
        Request::with_body(method, target, headers, "")
    }

    pub fn with_body(method: &str, target: &str, headers: Headers, form: &str) -> Request {
        let more = match headers {
            Headers::Short => SHORT_HEADERS,
            Headers::Java => JAVA_HEADERS,
        };
        let body = match (method, rendered(form).0.len()) {
            ("GET" | "DELETE", 0) => "\r\n".to_string(),
            (_, len) => format!("{FORM}Content-Length: {len}\r\n\r\n{form}"),
        };
        let (bytes, holes) = rendered(&format!("{method} /nacos/v1/ns{target} HTTP/1.1\r\nHost: 127.0.0.1:8848\r\n{more}{body}"));
        Request { bytes, holes, period: u64::MAX }
    }

    /// Appends request number `n`.
    pub fn write(&self, n: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        for hole in &self.holes {
            let mut value = n % self.period / hole.divide % hole.modulo + hole.plus;
            for digit in out[start + hole.at..start + hole.at + hole.width].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
    }

    pub fn text(&self, n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(n, &mut out);
        out
    }
}

fn rendered(template: &str) -> (Vec<u8>, Vec<Hole>) {
    let (mut bytes, mut holes) = (Vec::new(), Vec::new());
    let mut rest = template;
    while let Some((plain, after)) = rest.split_once('<') {
        bytes.extend_from_slice(plain.as_bytes());
        let (spec, after) = after.split_once('>').expect("a hole that begins ends");
        let numbers: Vec<u64> = spec.split(['/', '%', '+']).map(|n| n.parse().expect("holes hold numbers")).collect();
        let [width, divide, modulo, plus] = numbers[..] else { panic!("a hole has four numbers: {spec}") };
        holes.push(Hole { at: bytes.len(), width: width as usize, divide, modulo, plus });
        bytes.resize(bytes.len() + width as usize, b'0');
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    (bytes, holes)
}

// === what is asked ===

/// Request `n` names service `n % services`, instance `n / services % instances`.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    pub name: &'static str,
    pub services: u64,
    pub instances: u64,
}

impl Crowd {
    pub fn size(&self) -> u64 {
        self.services * self.instances
    }

    pub fn service(&self) -> String {
        format!("DEFAULT_GROUP%40%40bench-{}-<7/1%{}+0>", self.name, self.services)
    }

    fn address(&self) -> (String, String) {
        let (s, i) = (self.services, self.instances);
        let ip = format!("10.<3/{}%200+10>.<3/{}%100+100>.<3/{s}%100+100>", s * 10_000, s * 100);
        (ip, format!("<5/{s}%{}+20000>", i.min(40_000)))
    }

    fn request(&self, method: &str, target: &str, headers: Headers, form: &str) -> Request {
        Request { period: self.size(), ..Request::with_body(method, target, headers, form) }
    }

    /// How a list shows the port of request `n`'s instance.
    pub fn port(&self, n: u64) -> Vec<u8> {
        format!("\"port\":{},", n / self.services % self.instances.min(40_000) + 20_000).into_bytes()
    }

    pub fn instance(&self) -> String {
        let (ip, port) = self.address();
        format!("serviceName={}&ip={ip}&port={port}", self.service())
    }

    pub fn register(&self, headers: Headers) -> Request {
        self.request("POST", &format!("/instance?{}", self.instance()), headers, "")
    }

    /// Registers an instance that needs no beats for an hour.
    pub fn register_for_an_hour(&self, headers: Headers) -> Request {
        let metadata = "preserved.heart.beat.timeout%3D3600000%2Cpreserved.ip.delete.timeout%3D3600000";
        self.request("POST", &format!("/instance?{}&metadata={metadata}", self.instance()), headers, "")
    }

    pub fn deregister(&self, headers: Headers) -> Request {
        self.request("DELETE", &format!("/instance?{}", self.instance()), headers, "")
    }

    pub fn list(&self, headers: Headers) -> Request {
        self.request("GET", &format!("/instance/list?serviceName={}", self.service()), headers, "")
    }

    fn beat_json(&self) -> String {
        let (ip, port) = self.address();
        let service = self.service();
        format!(
            "%7B%22cluster%22%3A%22DEFAULT%22%2C%22ip%22%3A%22{ip}%22%2C%22metadata%22%3A%7B%7D%2C%22period%22%3A5000%2C%22port%22%3A{port}\
             %2C%22scheduled%22%3Afalse%2C%22serviceName%22%3A%22{service}%22%2C%22stopped%22%3Afalse%2C%22weight%22%3A1.0%7D"
        )
    }

    /// A full beat in the query, as Java 1.1.4 sends it.
    pub fn beat(&self, headers: Headers) -> Request {
        let (json, service) = (self.beat_json(), self.service());
        self.request("PUT", &format!("/instance/beat?app=unknown&namespaceId=public&beat={json}&serviceName={service}"), headers, "")
    }

    pub fn beat_in_body(&self, headers: Headers) -> Request {
        let (json, service) = (self.beat_json(), self.service());
        self.request("PUT", &format!("/instance/beat?namespaceId=public&serviceName={service}"), headers, &format!("beat={json}"))
    }

    pub fn light_beat(&self, headers: Headers) -> Request {
        self.request("PUT", &format!("/instance/beat?namespaceId=public&clusterName=DEFAULT&{}", self.instance()), headers, "")
    }
}

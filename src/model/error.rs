//! What can go wrong, in the domain's words. `http/reply.rs` alone knows which status each one is.
//!
//! The texts are those of Nacos 1.1.4 where it has one, so that scripts which match on them go on working.

use std::borrow::Cow;

#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NamingError {
    // --- parameters ---
    #[error("Param '{0}' is required.")]
    ParamRequired(Cow<'static, str>),
    /// As [`ParamRequired`](Self::ParamRequired), from the endpoints whose parameters Nacos has bound by its framework.
    #[error("Parameter '{0}' is missing")]
    ParamMissing(&'static str),
    #[error("For input string: \"{0}\"")]
    NotANumber(String),
    #[error(
        "Failed to convert value of type 'java.lang.String' to required type '{to}'; nested exception is {}",
        conversion_cause(.to, .value)
    )]
    ParamType { to: &'static str, value: String },
    #[error("metadata format incorrect:{0}")]
    MetadataFormat(String),
    /// Text that should be JSON and is not, or has a field of the wrong kind: `beat`, `selector`, `healthChecker`, …
    #[error("{param}: {reason}")]
    JsonFormat { param: &'static str, reason: String },
    #[error("parse{kind} error, field : {field}")]
    JsonNumber { kind: &'static str, field: &'static str },
    /// A rule of one parameter; the text says which and what was expected.
    #[error("{0}")]
    Illegal(Cow<'static, str>),

    // --- names and instances ---
    #[error("dom name can only have these characters: 0-9a-zA-Z-._:, current: {0}")]
    ServiceNameCharacters(String),
    #[error("Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'")]
    ServiceNameShape,
    #[error("cluster name can only have these characters: 0-9a-zA-Z-, current: {0}")]
    ClusterNameCharacters(String),
    #[error("caused: forbidden namespace: {0};")]
    NamespaceForbidden(String),
    #[error("instance format invalid: Your IP address is spelled incorrectly")]
    AddressFormat,
    #[error("instance format invalid: The weights range from 0.0 to 10000.0")]
    WeightRange,
    #[error(
        "persistent instances (ephemeral=false) are not supported yet: register with ephemeral=true and send beats, or leave the parameter out"
    )]
    PersistentUnsupported,

    // --- things that are not there, or are there already ---
    #[error("service not found, namespace: {namespace}, service: {service}")]
    ServiceAbsent { namespace: String, service: String },
    #[error("instance not exist: {0}")]
    InstanceAbsent(String),
    /// The instance a PATCH names.
    #[error("instance not found")]
    InstanceUnknown,
    /// 404: the text differs by endpoint.
    #[error("{0}")]
    NotFound(String),
    /// 400: the text differs by endpoint.
    #[error("{0}")]
    Refused(String),

    // --- limits ---
    /// Too much of something; `limit` is the name of the setting that says how much is allowed.
    #[error("{what} is {got}, more than the limit of {max} ({limit})")]
    OverLimit { what: &'static str, got: usize, max: usize, limit: &'static str, kind: LimitKind },

    // --- the node itself ---
    /// A call only nodes of the cluster may make, without the right to make it.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// Not Ready, or switched off: what a client is told to try later.
    #[error("server is {0} now, please try again later!")]
    NotServing(&'static str),
    /// Waited for, and no more.
    #[error("{0} did not come in time")]
    TooSlow(&'static str),
    /// Not now; the text says why.
    #[error("{0}")]
    Unavailable(String),
    /// The node is going down or an actor could not be reached.
    #[error("this node is stopping, please try another")]
    NodeStopping,
    /// What Nacos answers with 500; the text is for people.
    #[error("{0}")]
    Failed(String),
}

/// Which status goes with being over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// A value or a count: 400.
    Value,
    /// The request body: 413.
    Body,
    /// The request line: 414.
    RequestLine,
}

impl NamingError {
    pub fn required(param: &'static str) -> NamingError {
        NamingError::ParamRequired(Cow::Borrowed(param))
    }
}

fn conversion_cause(to: &str, value: &str) -> String {
    match (to, value) {
        ("boolean", v) => format!("java.lang.IllegalArgumentException: Invalid boolean value [{v}]"),
        ("float", "") => "java.lang.NumberFormatException: empty String".to_string(),
        (_, v) => format!("java.lang.NumberFormatException: For input string: \"{v}\""),
    }
}

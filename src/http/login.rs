//! Login. There are no accounts here: whoever asks gets a token that opens nothing, because SDKs with credentials in their
//! configuration ask at start, and some do not survive an error. Never: looks at a password.

use crate::http::extract::Call;
use crate::http::reply::{self, Answer};
use serde::Serialize;
use uuid::Uuid;

/// Nacos's default user.
const USER: &str = "nacos";
/// After how long a client asks again, seconds. It must be a number.
const TOKEN_TTL_S: u32 = 18_000;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login<'a> {
    access_token: &'a str,
    token_ttl: u32,
    global_admin: bool,
    username: &'a str,
}

/// Answers 200 whatever it is asked.
pub async fn login(call: Call) -> Answer {
    let params = call.params();
    let username = params.or("username", USER);
    let token = Uuid::new_v4().simple().to_string();
    let login = Login { access_token: &token, token_ttl: TOKEN_TTL_S, global_admin: true, username: &username };
    reply::json_with(&login, &[("Authorization", format!("Bearer {token}"))])
}

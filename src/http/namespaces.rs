//! `/v1/console/namespaces`: the namespaces that operators name. Naming takes any id, named or not; deleting one here takes
//! nothing that is registered in it.

use crate::actors::settings::{DropRecord, NAMESPACES, PutRecord};
use crate::config::Limits;
use crate::http::extract::{Call, no_control, short};
use crate::http::reply::{self, Answer};
use crate::model::error::NamingError;
use crate::model::name::PUBLIC;
use crate::model::namespace::{Namespace, NamespaceMap};
use crate::namespaces::Edit;
use crate::wire::form::{Params, is_blank};
use crate::wire::namespaces::{Row, to_json};
use log::info;
use uuid::Uuid;

/// Of an id that an operator chooses (Nacos 1.4).
pub const ID_CHARS_MAX: usize = 128;

/// All of them, or one with its description (`show=all`), or whether an id is taken (`checkNamespaceIdExist=true`).
pub async fn get(call: Call) -> Answer {
    let params = call.params();
    if params.raw("show").is_some_and(|show| show == "all") {
        return one(&call, &params);
    }
    let namespaces = call.edge.realm.namespaces.load();
    if params.raw("checkNamespaceIdExist").is_some_and(|check| check == "true") {
        let id = params.bound("customNamespaceId")?;
        return reply::json(&namespaces.contains_key(&*id));
    }
    let mut rows = vec![Row::public()];
    rows.extend(namespaces.iter().map(|(id, namespace)| Row::new(id, namespace)));
    reply::envelope(&rows)
}

fn one(call: &Call, params: &Params<'_>) -> Answer {
    let id = params.bound("namespaceId")?;
    if is_blank(&id) || id == PUBLIC {
        return reply::json(&Row::public().shown_as("Public").described(Some("Public Namespace")));
    }
    match call.edge.realm.namespaces.load().get(&*id) {
        Some(namespace) => reply::json(&Row::new(&id, namespace).described(namespace.description.as_deref())),
        None => Err(NamingError::NotFound(format!("namespace {id} does not exist"))),
    }
}

/// `true`; or `false` with nothing changed, where an id is no id, or is taken (Nacos 1.4).
pub async fn create(call: Call) -> Answer {
    let params = call.params();
    let namespace = described(&params, "namespaceName", call.limits())?;
    let id = match params.optional("customNamespaceId") {
        None => Uuid::new_v4().to_string(),
        Some(id) if is_id(&id) && id != PUBLIC => id.into_owned(),
        Some(_) => return reply::json(&false),
    };
    edit(&call, Edit::Create { id, namespace }).await
}

/// `true`; or `false` where there is no such namespace to edit.
pub async fn update(call: Call) -> Answer {
    let params = call.params();
    let id = params.bound("namespace")?.into_owned();
    let namespace = described(&params, "namespaceShowName", call.limits())?;
    edit(&call, Edit::Replace { id, namespace }).await
}

/// `true`, as in Nacos, whether it was there or not.
pub async fn delete(call: Call) -> Answer {
    let id = call.params().bound("namespaceId")?.into_owned();
    edit(&call, Edit::Delete { id }).await?;
    reply::json(&true)
}

async fn edit(call: &Call, edit: Edit) -> Answer {
    let changed = call.edge.realm.namespaces.set(&edit, call.limits().namespaces)?;
    if changed {
        info!(edit:? = edit; "namespaces changed");
        let settings = &call.edge.settings;
        let stored = match edit {
            Edit::Create { id, namespace } | Edit::Replace { id, namespace } => {
                let value = to_json(&NamespaceMap::from([(id.clone(), namespace)]));
                settings.send(PutRecord { kind: NAMESPACES, name: id, value }).await
            }
            Edit::Delete { id } => settings.send(DropRecord { kind: NAMESPACES, name: id }).await,
        };
        stored.unwrap_or(Err(NamingError::NodeStopping))?;
    }
    reply::json(&changed)
}

fn described(params: &Params<'_>, name_param: &'static str, limits: &Limits) -> Result<Namespace, NamingError> {
    let name = params.bound(name_param)?;
    if is_blank(&name) {
        return Err(NamingError::required(name_param));
    }
    let description = params.raw("namespaceDesc");
    no_control(name_param, &name)?;
    no_control("namespaceDesc", description.as_deref().unwrap_or_default())?;
    short("the length of the namespace's name", &name, limits.namespace_name, "headcount.limits.namespace-name")?;
    let text = description.as_deref().unwrap_or_default();
    short("the length of namespaceDesc", text, limits.namespace_description, "headcount.limits.namespace-description")?;
    Ok(Namespace { name: name.into_owned(), description: description.map(|text| text.into_owned()) })
}

fn is_id(id: &str) -> bool {
    id.len() <= ID_CHARS_MAX && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_words_as_in_nacos() {
        assert!(["a", "A-b_9", &"x".repeat(128)].iter().all(|id| is_id(id)));
        assert!(!["a b", "a/b", "名", "a.b", &"x".repeat(129)].iter().any(|id| is_id(id)));
    }

    #[test]
    fn a_namespace_has_a_name_within_limits() {
        let read = |query: &str| described(&Params::new(query, None), "namespaceName", &Limits::default());
        assert_eq!(read("namespaceName=n&namespaceDesc=d+e"), Ok(Namespace { name: "n".into(), description: Some("d e".into()) }));
        assert_eq!(read("namespaceDesc=d"), Err(NamingError::ParamMissing("namespaceName")));
        assert_eq!(read("namespaceName=%20"), Err(NamingError::required("namespaceName")));
        assert!(matches!(read(&format!("namespaceName={}", "n".repeat(129))), Err(NamingError::OverLimit { got: 129, .. })));
        assert!(matches!(read(&format!("namespaceName=n&namespaceDesc={}", "d".repeat(257))), Err(NamingError::OverLimit { .. })));
    }
}

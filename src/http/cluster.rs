//! `/v1/ns/cluster`: what an operator says of one cluster of a service.

use crate::actors::service::EditCluster;
use crate::http::extract::{Call, well_formed};
use crate::http::reply::{self, Answer};
use crate::http::service::must_exist;
use crate::model::cluster::ClusterSettings;
use crate::model::name::check_cluster_name;
use crate::model::service::Refusal;
use crate::wire::checker::checker;
use crate::wire::value::{bool_a, int_l};

/// Replaces a cluster's settings, all of them; one that is not there is made. The order of errors is that of Nacos 1.1.4.
pub async fn edit(call: Call) -> Answer {
    let params = call.params();
    let cluster = params.required("clusterName")?;
    let key = call.service(&params)?;
    let health_checker = params.required("healthChecker")?;
    let check_port = int_l(&params.required("checkPort")?);
    let use_instance_port = bool_a(&params.required("useInstancePort4Check")?);
    must_exist(&call, &key, Refusal::NoServiceOfCluster)?;
    check_cluster_name(&cluster)?;
    call.check_cluster_length(&cluster)?;
    call.check_setting("the size of healthChecker in bytes", &health_checker)?;
    well_formed("healthChecker", &health_checker)?;
    let settings = ClusterSettings {
        checker: checker(&health_checker)?,
        check_port,
        use_instance_port,
        metadata: call.metadata(&params.or("metadata", ""))?,
    };
    call.ask(key, EditCluster { cluster: cluster.into_owned(), settings }).await?;
    Ok(reply::ok(&call.request))
}

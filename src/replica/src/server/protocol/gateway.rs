//! HTTP gateways: what clients want one to be, and what they see of it.
use serde::{Deserialize, Serialize};

/// A gateway for an instance that is being created.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct InstanceHttpGatewayConfig {
    pub(crate) ip_addr: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) domains: Option<Vec<String>>,
    pub(crate) https_config: Option<HttpsConfig>,
    pub(crate) domain_custom_provider_local_file: Option<String>,
}

/// A gateway for what is there already.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct HttpGatewayConfig {
    pub(crate) forward_to: HttpGatewayBackend,
    #[serde(flatten)]
    pub(crate) config: InstanceHttpGatewayConfig,
}

/// Where a gateway's requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HttpGatewayBackend {
    Replica(String),
    PocketIcInstance(usize),
}

/// Files of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HttpsConfig {
    pub(crate) cert_path: String,
    pub(crate) key_path: String,
}

/// A gateway as a list shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HttpGatewayDetails {
    pub(crate) instance_id: usize,
    pub(crate) port: u16,
    pub(crate) forward_to: HttpGatewayBackend,
    pub(crate) domains: Option<Vec<String>>,
    /// Always `null`: there are no certificates.
    pub(crate) https_config: Option<HttpsConfig>,
}

/// A gateway that was created. Its number counts gateways, and not instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct HttpGatewayInfo {
    pub(crate) instance_id: usize,
    pub(crate) port: u16,
}

/// Answer to the creation of a gateway.
#[derive(Debug, Serialize)]
pub(crate) enum CreateHttpGatewayResponse {
    Created(HttpGatewayInfo),
    Error { message: String },
}

//! The real things that tests run against; `tests/run` brings what they need.

mod age;
mod authorization_server;
mod browser;
#[cfg(feature = "kubernetes")]
mod cluster;
mod git_server;
mod home_assistant;
mod openbao;
mod port;
mod process;
mod provider;
mod release;
mod reverse_proxy;
mod socket;
mod sops;
mod web;

pub(crate) use age::{AGE, age};
pub(crate) use authorization_server::AuthorizationServer;
pub(crate) use browser::Browser;
#[cfg(feature = "kubernetes")]
pub(crate) use cluster::{Cluster, program};
pub(crate) use git_server::{GitHttps, SshServer};
pub(crate) use home_assistant::{CONFIGURATION, HomeAssistant, copy_folder, give_integrations};
pub(crate) use openbao::OpenBao;
pub(crate) use port::free_port;
pub(crate) use process::Process;
pub(crate) use provider::{Provider, TokenRequest};
pub(crate) use release::{Release, each_release};
pub(crate) use reverse_proxy::{PASS, ReverseProxy};
pub(crate) use socket::Socket;
pub(crate) use sops::{SOPS, sops, sops_age};
pub(crate) use web::{Answer, send, visit};

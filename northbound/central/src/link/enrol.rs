//! Gives certificates: to a hub that shows a claim token, and to one that renews over a connection that proved who it
//! is. Idempotent: what broke off is asked for again with the same key, and goes on.

use std::net::SocketAddr;

use northbound_trust::{CheckedCsr, HubName, IssueError, Validity};
use northbound_wire::{ClaimToken, EnrolAnswer, EnrolRequest, Refusal, RefusalCode, Versions};
use rustls_pki_types::CertificateDer;

use super::Surroundings;
use crate::storage::{Certificate, Enrolment, StorageError};

/// Answers a request. `proved` is the name in the certificate the connection was made with, if it was.
pub(super) async fn answer(
    around: &Surroundings,
    request: &EnrolRequest,
    proved: Option<HubName>,
    address: SocketAddr,
) -> Result<EnrolAnswer, Refusal> {
    if let Err(error) = Versions::OURS.agree(request.versions) {
        let detail = format!("{error}: upgrade whichever is older");
        return Err(Refusal::ending(RefusalCode::Version, detail));
    }
    let csr = CheckedCsr::from_der(&request.csr)
        .map_err(|error| Refusal::ending(RefusalCode::BadRequest, error.to_string()))?;
    let (name, site_name) = match proved {
        Some(name) => renewing(around, request, name).await?,
        None => claiming(around, request, &csr, address).await?,
    };
    let chain = issue(around, &csr, name, address).await?;
    Ok(EnrolAnswer { org: name.org, site: name.site, site_name, chain })
}

async fn renewing(
    around: &Surroundings,
    request: &EnrolRequest,
    name: HubName,
) -> Result<(HubName, String), Refusal> {
    if request.hub != name.hub {
        let detail = format!("{} asks for the certificate of {}", name.hub, request.hub);
        return Err(Refusal::ending(RefusalCode::HubMismatch, detail));
    }
    let row = around.storage.hub(name.hub).await.map_err(|error| storage_failed(&error))?;
    Ok((name, row.map(|row| row.site_name).unwrap_or_default()))
}

async fn claiming(
    around: &Surroundings,
    request: &EnrolRequest,
    csr: &CheckedCsr,
    address: SocketAddr,
) -> Result<(HubName, String), Refusal> {
    let token: ClaimToken = request
        .token
        .parse()
        .map_err(|error| Refusal::ending(RefusalCode::TokenUnknown, format!("no claim token: {error}")))?;
    if token.root != around.authority.fingerprint() {
        let detail = "this token is that of another central";
        return Err(Refusal::ending(RefusalCode::TokenUnknown, detail));
    }
    let address = address.ip().to_string();
    let key = csr.key_fingerprint();
    let enrolment = Enrolment { token: &token, hub: request.hub, key, address: &address };
    let claimed = around.storage.enrol(&enrolment, around.clock.utc()).await;
    let site = claimed
        .map_err(|error| storage_failed(&error))?
        .map_err(|refusal| Refusal::ending(refusal.code, refusal.detail))?;
    let name = HubName { org: around.storage.org(), site: site.id, hub: request.hub };
    Ok((name, site.name))
}

/// Makes a certificate, and writes it down before it is handed out.
async fn issue(
    around: &Surroundings,
    csr: &CheckedCsr,
    name: HubName,
    address: SocketAddr,
) -> Result<Vec<Vec<u8>>, Refusal> {
    let now = around.clock.utc();
    let failed = |error: IssueError| {
        tracing::error!(%error, hub = %name.hub, "a certificate could not be made");
        Refusal::ending(RefusalCode::StorageFailed, "central cannot make certificates at the moment")
    };
    let chain = around.authority.issue_hub(csr, name, now).map_err(failed)?;
    let leaf: &CertificateDer<'_> = &chain[0];
    let read = |_| Refusal::ending(RefusalCode::StorageFailed, "central made a certificate it cannot read");
    let validity = Validity::of(leaf).map_err(read)?;
    let serial = northbound_trust::serial(leaf).map_err(read)?;
    let certificate =
        Certificate { hub: name.hub, key: csr.key_fingerprint(), serial, not_after: validity.not_after };
    let written = around.storage.certificate_issued(&certificate, &address.ip().to_string(), now).await;
    written.map_err(|error| storage_failed(&error))?;
    Ok(chain.into_iter().map(|der| der.to_vec()).collect())
}

pub(super) fn storage_failed(error: &StorageError) -> Refusal {
    tracing::error!(%error, "a hub is put off: the storage fails");
    Refusal::ending(RefusalCode::StorageFailed, "central cannot store at the moment; try again later")
}

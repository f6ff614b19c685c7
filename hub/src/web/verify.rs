//! `/api/v1/verify`: every checksum, record and number looked at again, with news of how far it is.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_store::{Finding, FindingKind, Reader};
use serde::{Deserialize, Serialize};
use tracing::warn;
use utoipa::ToSchema;

use super::api::Api;
use super::chunks::{Ended, Out, streamed};
use super::problem::ProblemView;

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = VerifyLine)]
pub enum VerifyLine {
    /// How far it is: each hundredth of the way at most.
    Progress {
        /// Numbers looked at.
        numbers: u64,
        /// Numbers there are.
        of: u64,
    },
    /// Something that is not as it should be.
    Finding {
        /// Class of the records.
        class: String,
        /// First sequence number.
        from: u64,
        /// One past the last.
        to: u64,
        /// `damaged`, `misplaced`, `undefined`, `uncovered`, `miscounted` or `confirmed-ahead`.
        what: String,
        /// The same as a sentence.
        text: String,
    },
    /// The last line: without it the answer broke off.
    End {
        /// Blocks read.
        blocks: u64,
        /// Their bytes.
        block_bytes: u64,
        /// Records decoded.
        records: u64,
        /// Findings told before.
        findings: u64,
    },
}

/// Reads everything again: every checksum, every record, and the ledger
///
/// One JSON object per line, as it goes on: progress, findings, and `end` last.
#[utoipa::path(
    get,
    path = "/api/v1/verify",
    operation_id = "verify",
    tag = "data",
    responses(
        (status = 200, description = "Lines of JSON", content((VerifyLine = "application/x-ndjson"))),
        (status = 503, description = "A verification runs already", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn verify(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let permit = api.verifications.clone().try_acquire_owned().map_err(|_| {
        let detail = "a verification runs already; try again when it has ended";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "verification-runs", "A verification runs", detail)
    })?;
    let reader = api.reader.clone();
    let body = streamed("verification", permit, move |out| write_all(out, &reader));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

fn write_all(out: &mut Out, reader: &Reader) -> Result<(), Ended> {
    let failed = |error: hub_store::ReadError| Ended::Failed(error.to_string());
    let mut verification = reader.verification().map_err(failed)?;
    let of = verification.numbers();
    let mut told = 0;
    let mut found = Vec::new();
    put(out, &VerifyLine::Progress { numbers: 0, of })?;
    while verification.step(&mut found).map_err(failed)? {
        let numbers = verification.verified().numbers;
        let hundredth = numbers.saturating_mul(100) / of.max(1);
        if found.is_empty() && hundredth == told {
            continue;
        }
        told = hundredth;
        tell(out, &mut found)?;
        put(out, &VerifyLine::Progress { numbers, of })?;
    }
    tell(out, &mut found)?;
    let done = verification.verified();
    let (blocks, block_bytes, records) = (done.blocks, done.block_bytes, done.records);
    put(out, &VerifyLine::End { blocks, block_bytes, records, findings: done.findings })
}

fn tell(out: &mut Out, found: &mut Vec<Finding>) -> Result<(), Ended> {
    found.drain(..).try_for_each(|finding| {
        let line = line(&finding);
        if let VerifyLine::Finding { class, from, to, text, .. } = &line {
            warn!(class, from, to, "verification: {text}");
        }
        put(out, &line)
    })
}

fn put(out: &mut Out, line: &VerifyLine) -> Result<(), Ended> {
    serde_json::to_writer(&mut out.buffer, line).map_err(|error| Ended::Failed(error.to_string()))?;
    out.buffer.push(b'\n');
    out.flush()
}

fn line(finding: &Finding) -> VerifyLine {
    let (what, text) = match &finding.kind {
        FindingKind::Damaged(why) => ("damaged", format!("bytes went bad: {why}")),
        FindingKind::Misplaced => {
            ("misplaced", "the block is whole, but not what the index says of it".to_owned())
        }
        FindingKind::Undefined(id) => ("undefined", format!("series {} has no definition", id.0)),
        FindingKind::Uncovered => {
            ("uncovered", "no block and no gap row stands for these numbers".to_owned())
        }
        FindingKind::Miscounted { what, stated, counted } => {
            ("miscounted", format!("the ledger states {stated} as {what}, and there are {counted}"))
        }
        FindingKind::ConfirmedAhead => {
            ("confirmed-ahead", "counted as confirmed by central, and was never in a block".to_owned())
        }
    };
    VerifyLine::Finding {
        class: finding.class.name().to_owned(),
        from: finding.range.from,
        to: finding.range.to,
        what: what.to_owned(),
        text,
    }
}

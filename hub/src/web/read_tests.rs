//! `POST /api/v1/devices/{device}/read-tests`: one live read of a device, out of turn, with the bytes. On the socket only:
//! it costs time on the bus.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hub_chassis::http::Problem;
use hub_chassis::value_text::JsonValue;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use southbound::modbus::frame::Hex;
use southbound::modbus::{Exchanged, TestError, TestReport, Tested};
use utoipa::ToSchema;

use super::api::Api;
use super::problem::ProblemView;

/// What a test found.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ReadTest {
    /// The device's name.
    pub device: String,
    /// Whether every register was read.
    pub passed: bool,
    /// Every request, in order.
    pub requests: Vec<RequestView>,
    /// Why there are no more, where something made further ones pointless.
    #[schema(required)]
    pub stopped: Option<String>,
}

/// One request and what came of it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TestRequest)]
pub struct RequestView {
    /// `coil`, `discrete`, `holding` or `input`.
    pub table: String,
    /// The first address on the wire.
    pub address: u16,
    /// Bits or words.
    pub count: u16,
    /// The frame that was sent, in hexadecimal.
    pub sent: String,
    /// All bytes that came.
    pub received: String,
    /// From the one to the other.
    pub took_ms: f64,
    /// What went wrong; null after an answer.
    #[schema(required)]
    pub trouble: Option<String>,
    /// What the registers in it say.
    pub readings: Vec<ReadingView>,
}

/// A register.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = TestReading)]
pub struct ReadingView {
    /// The metric.
    pub metric: String,
    /// Where it is, in both notations.
    pub place: String,
    /// The value; null where there is none.
    #[schema(required, value_type = Option<serde_json::Value>)]
    pub value: Option<Box<RawValue>>,
    /// UCUM code; empty for none.
    pub unit: String,
    /// How far to trust it.
    pub quality: String,
}

/// Reads every register of a Modbus device now, and answers when it is done; on the Unix socket only
#[utoipa::path(
    post,
    path = "/api/v1/devices/{device}/read-tests",
    operation_id = "run_read_test",
    tag = "devices",
    params(("device" = String, Path, description = "Name or id")),
    responses(
        (status = 200, description = "What was found", body = ReadTest),
        (status = 404, description = "No such device over Modbus", body = ProblemView, content_type = "application/problem+json"),
        (status = 405, description = "Not on this surface", body = ProblemView, content_type = "application/problem+json"),
        (status = 503, description = "The endpoint is busy, or the test takes longer than 30 s", body = ProblemView, content_type = "application/problem+json"),
    )
)]
pub(super) async fn run(
    State(api): State<Arc<Api>>,
    Path(device): Path<String>,
) -> Result<Response, Problem> {
    let name = {
        let registry = api.registry.lock();
        // A device of the files may not have been read yet, and so be unknown to the registry.
        let known = super::params::device(registry.catalog(), &device).map(|device| device.name.clone());
        known.or_else(|unknown| device.parse().map_err(|_| unknown))?
    };
    let report = api.devices.modbus().test(&name).await.map_err(|error| refused(&device, &error))?;
    Ok(Json(view(name.as_str(), &report)).into_response())
}

fn refused(device: &str, error: &TestError) -> Problem {
    match error {
        TestError::Unknown => {
            let detail = format!(
                "no device {device:?} is read over Modbus; `relais-hub device list` says which are, and a new file in \
                 devices.d takes effect with SIGHUP"
            );
            Problem::new(StatusCode::NOT_FOUND, "device-not-found", "No such device", detail)
        }
        TestError::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "The endpoint is busy", error.to_string())
        }
        TestError::Timeout => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "The test takes too long",
            error.to_string(),
        ),
    }
}

fn view(device: &str, report: &TestReport) -> ReadTest {
    let requests: Vec<RequestView> = report.exchanges.iter().map(request_view).collect();
    let all_read = requests.iter().all(|request| {
        request.trouble.is_none()
            && request.readings.iter().all(|reading| !reading.quality.starts_with("bad"))
    });
    ReadTest {
        device: device.to_owned(),
        passed: report.stopped.is_none() && all_read && !requests.is_empty(),
        requests,
        stopped: report.stopped.clone(),
    }
}

fn request_view(exchange: &Exchanged) -> RequestView {
    RequestView {
        table: exchange.table.name().to_owned(),
        address: exchange.start,
        count: exchange.count,
        sent: Hex(&exchange.request).to_string(),
        received: Hex(&exchange.answer).to_string(),
        took_ms: exchange.took.as_secs_f64() * 1_000.0,
        trouble: exchange.outcome.clone(),
        readings: exchange.readings.iter().map(reading_view).collect(),
    }
}

fn reading_view(reading: &Tested) -> ReadingView {
    ReadingView {
        metric: reading.metric.clone(),
        place: reading.place.to_string(),
        value: reading
            .value
            .as_ref()
            .and_then(|value| serde_json::value::to_raw_value(&JsonValue(value)).ok()),
        unit: reading.unit.as_str().to_owned(),
        quality: reading.quality.to_string(),
    }
}

//! Registers and devices for tests of the cores.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_model::Unit;

use super::address::{Place, Table};
use super::device::{Device, RequestLimits};
use super::order::ByteOrder;
use super::register::{DataType, Group, Limits, Register};
use super::report::ReportRule;
use super::scale::Scale;

/// A plain holding register.
pub(crate) fn register(metric: &str, address: u16, data: DataType) -> Register {
    Register {
        metric: metric.parse().unwrap(),
        place: Place { table: Table::Holding, address },
        data,
        order: ByteOrder::BIG,
        unit: Unit::none(),
        scale: Scale::new(1.0, 0.0),
        invalid: Vec::new(),
        limits: Limits::default(),
        report: ReportRule::default(),
    }
}

/// A device with one group of three registers in two blocks: 0-3 and 10.
pub(crate) fn device(unit: u8, interval: Duration) -> Device {
    let registers = vec![
        register("a", 0, DataType::F32),
        register("b", 2, DataType::U32),
        register("c", 10, DataType::U16),
    ];
    Device {
        name: format!("unit-{unit}").parse().unwrap(),
        endpoint: "tcp://127.0.0.1:502".parse().unwrap(),
        unit,
        groups: vec![Group { name: "all".into(), interval, phase: None, registers }],
        limits: RequestLimits::default(),
        profile: None,
        tags: BTreeMap::new(),
    }
}

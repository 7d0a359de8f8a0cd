//! What devices report: bounded, and kept as events.

use std::time::Instant;

use super::socket::Connection;
use crate::calls::hub::{Refused, hello_first};
use crate::calls::ids::Address;
use crate::calls::messages::{ClientMessage, ErrorCode, QualitySample};
use crate::events::Event;
use crate::events::kinds::{ClientReport, Quality};

/// More than that nobody sends: 100 Gb/s.
const MOST_BITRATE: u64 = 100_000_000_000;

// === impl Connection ===

impl Connection {
    /// Nothing is answered to a report that is taken.
    pub(super) fn report(&self, request: Option<u32>, message: ClientMessage) {
        if let Err(refused) = self.take_report(message) {
            self.refuse(request, refused);
        }
    }

    fn take_report(&self, message: ClientMessage) -> Result<(), Refused> {
        let ClientMessage::Report { call, reason, client, width, height, network, quality } =
            message
        else {
            return Ok(());
        };
        let Some(from) = self.board.with(|hub, _| hub.address_of(self.id)) else {
            return Err(hello_first());
        };
        // Whose calls are whose is not to be made up.
        if let Some(call) = &call
            && !self.board.with(|hub, _| hub.is_call_of(call, &from.user))
        {
            let detail = "the user isn't in that call";
            return Err(Refused::new(ErrorCode::NotInCall, detail).of(call));
        }
        if !self.may_report() {
            let detail = "too many reports: this one is not kept";
            return Err(Refused::new(ErrorCode::TooManyRequests, detail));
        }
        let Address { user, device } = &from;
        let event = Event::new(ClientReport {
            reason,
            client: client.as_str().to_owned(),
            width: width.into(),
            height: height.into(),
            network,
            location: self.state.geo.as_ref().and_then(|geo| geo.find(self.client)),
            quality: quality.into_vec().into_iter().map(quality_of).collect(),
        });
        let event = event.of_user(user).of_device(device);
        self.state.events.emit(call.iter().fold(event, Event::of_call));
        Ok(())
    }

    fn may_report(&self) -> bool {
        let mut reports = self.reports.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        reports.take(1.0, self.board.config.reports, Instant::now()).is_ok()
    }
}

fn quality_of(sample: QualitySample) -> Quality {
    let permille = |of: u16| of.min(1000);
    Quality {
        user: sample.user.to_string(),
        direction: sample.direction,
        path: sample.path,
        local: sample.local,
        remote: sample.remote,
        transport: sample.transport,
        bitrate_bps: sample.bitrate_bps.0.min(MOST_BITRATE),
        lost_permille: permille(sample.lost_permille),
        round_trip_ms: sample.round_trip_ms,
        frozen_permille: sample.frozen_permille.map(permille),
        width: sample.width.map(u32::from),
        height: sample.height.map(u32::from),
        frame_rate: sample.frame_rate.map(u32::from),
    }
}

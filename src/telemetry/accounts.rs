//! Metrics of users, of who may ring whom, and of chat.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry};

use super::registrar::Registrar;

/// Handles to the metrics of accounts. Clones share the values.
#[derive(Clone)]
pub struct AccountMetrics {
    pub up: IntGauge,
    pub refused: IntGauge,
    pub sign_ins: IntCounterVec,
    pub sign_ups: IntCounterVec,
    pub ring_refusals: IntCounterVec,
    pub chat_messages: IntCounterVec,
    pub chat_refusals: IntCounter,
    pub chat_delivered: IntCounter,
    pub database_errors: IntCounter,
}

// === impl AccountMetrics ===

impl AccountMetrics {
    /// Makes the metrics and registers them. Fails when they are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let r = Registrar(registry);
        let up = r.gauge(
            "stentor_accounts_up",
            "Whether those who know about users can be asked: 1 or 0; always 1 where the accounts \
             are on this node",
        )?;
        up.set(1);
        Ok(Self {
            up,
            refused: r.gauge(
                "stentor_accounts_refused",
                "Whether the node that has the accounts refuses this one's questions, 1 or 0: the \
                 secret, the address or a clock is wrong then",
            )?,
            sign_ins: r.counters(
                "stentor_accounts_sign_ins_total",
                "Sign-ins, by what came of them",
                &["outcome"],
            )?,
            sign_ups: r.counters(
                "stentor_accounts_sign_ups_total",
                "Accounts asked for, by what came of it",
                &["outcome"],
            )?,
            ring_refusals: r.counters(
                "stentor_accounts_ring_refusals_total",
                "People who weren't to be rung, by reason",
                &["reason"],
            )?,
            chat_messages: r.counters(
                "stentor_chat_messages_total",
                "Messages stored, in conversations of two (direct) and in calls (call)",
                &["kind"],
            )?,
            chat_refusals: r.counter(
                "stentor_chat_refusals_total",
                "Chat that was refused: to whom one may not write, or too much of it",
            )?,
            chat_delivered: r.counter(
                "stentor_chat_delivered_total",
                "Messages handed to devices, each device counted",
            )?,
            database_errors: r.counter(
                "stentor_accounts_database_errors_total",
                "What the database of accounts and chat, or the node that has it, didn't do",
            )?,
        })
    }
}

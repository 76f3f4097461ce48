//! The codes of what `watch` notifies people of.

codes! {
    /// What has happened.
    EventCode {
        /// An account waits for consent.
        ConsentPending = "consent_pending",
        /// An account no longer waits for consent.
        ConsentSettled = "consent_settled",
        /// An entry must answer what Home Assistant asks.
        AnswersPending = "answers_pending",
        /// An entry no longer has to.
        AnswersSettled = "answers_settled",
        /// What waited for a person is no longer needed, and was abandoned.
        SetUpAbandoned = "set_up_abandoned",
        /// The set-up of an account has failed.
        SetUpFailed = "set_up_failed",
        /// The target was changed, and no manifest was.
        Drift = "drift",
        /// Something is not done before somebody decides, as where it is protected.
        Withheld = "withheld",
        /// The target is not in sync and cannot be made so.
        Error = "error",
        /// An error is over. The message says what is still not done, where something is.
        Recovered = "recovered",
        /// A client expires soon.
        ClientExpiring = "client_expiring",
        /// A client has expired.
        ClientExpired = "client_expired",
        /// A client's secret should be replaced.
        RotationDue = "rotation_due",
        /// A provider rejects a client.
        ClientRejected = "client_rejected",
        /// A provider accepts a client again that it rejected.
        ClientAccepted = "client_accepted",
        /// Nothing is due of a client any more.
        ClientRenewed = "client_renewed",
        /// The manifests are in error, and nothing new is done.
        ManifestsInError = "manifests_in_error",
        /// The manifests are valid again.
        ManifestsValid = "manifests_valid",
        /// The repository of the manifests cannot be fetched; the last commit stays in force.
        SourceFailed = "source_failed",
        /// The repository of the manifests can be fetched again.
        SourceFetched = "source_fetched",
    }
}

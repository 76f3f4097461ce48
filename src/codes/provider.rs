//! The codes of what providers say of clients.

codes! {
    /// What a provider said of a client.
    VerdictCode {
        /// It accepts the client id and its secret.
        Right = "right",
        /// It rejects them.
        Wrong = "wrong",
        /// It did not answer.
        Unreachable = "unreachable",
        /// It answered, and nothing follows from what it said.
        Unclear = "unclear",
        /// It was not asked, since its address is not known.
        NoAddress = "no_address": "not asked",
    }

    /// What a provider says of a client of which it is asked regularly.
    ClientCode {
        /// It accepts the client id and its secret.
        Accepted = "accepted",
        /// It rejects them.
        Rejected = "rejected",
        /// It has never said anything from which one of these follows.
        Unclear = "unclear",
        /// It is not asked.
        NotAsked = "not_asked",
    }

    /// Whether a provider knows a client and its redirect URI.
    RegistrationCode {
        /// It does.
        Registered = "registered",
        /// It does not (yet) accept the redirect URI.
        NotRegistered = "not_registered": "not (yet) accepted",
        /// It does not (yet) know the client id.
        UnknownClient = "unknown_client",
        /// It knows the client id; of the redirect URI nothing is known.
        ClientKnown = "client_known",
        /// It did not answer.
        Unreachable = "unreachable",
        /// Nothing follows from its answer.
        Unclear = "unclear",
        /// It was not asked.
        NotAsked = "not_asked",
    }
}

//! The codes of what `doctor` looks at.

codes! {
    /// What was looked at.
    CheckCode {
        /// The project file.
        Project = "project",
        /// The manifests.
        Manifests = "manifests",
        /// The age identities that are found.
        Identities = "identities",
        /// Whether the identities open what is encrypted.
        Secrets = "secrets",
        /// To whom secrets are encrypted.
        Recipients = "recipients",
        /// The rules of SOPS.
        SopsRules = "sops_rules",
        /// Whether Git keeps secrets in plain text.
        Repository = "repository",
        /// The programs that are asked for secrets.
        Sources = "sources",
        /// Where sessions and locks are kept.
        StateFolder = "state_folder",
        /// Whether the operating system reports changes of files.
        FileEvents = "file_events",
        /// Which targets there are.
        Targets = "targets",
        /// Whether the target answers.
        Reach = "reach",
        /// The certificate of the target.
        Certificate = "certificate",
        /// The clock of the target.
        Clock = "clock",
        /// The access token.
        Token = "token",
        /// Whether the token is an administrator's.
        Administrator = "administrator",
        /// The release of Home Assistant.
        Release = "release",
        /// Whether Home Assistant runs.
        Running = "running",
        /// Where providers send browsers after consent.
        RedirectUri = "redirect_uri",
        /// What a configuration folder holds.
        Storage = "storage",
        /// Whether a configuration folder can be written.
        Writable = "writable",
        /// Who watches the target.
        Watcher = "watcher",
    }

    /// What came of a check.
    HealthCode {
        /// As it should be.
        Ok = "ok",
        /// It works, and somebody should look.
        Warning = "warning",
        /// It does not work.
        Error = "error",
        /// It was not looked at, for a reason that is given.
        Skipped = "skipped",
    }
}

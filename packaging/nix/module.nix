# The service, for NixOS. The unit is that of the packages. In a configuration, where ./appcred is a checkout:
#
#   imports = [ ./appcred/packaging/nix/module.nix ];
#   services.appcred = {
#     enable = true;
#     project = ./house;
#   };
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  cfg = config.services.appcred;
in
{
  options.services.appcred = {
    enable = lib.mkEnableOption "appcred, which keeps Home Assistant's application credentials as a project declares them";
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package to use.";
    };
    project = lib.mkOption {
      type = lib.types.path;
      example = lib.literalExpression "./house";
      description = ''
        The folder of appcred.yaml. A path that is not quoted is copied into the store, where anybody can read it: the
        project's secrets must be encrypted.
      '';
    };
    identityFile = lib.mkOption {
      type = lib.types.str;
      default = "/etc/appcred-keys/identity.txt";
      description = "The age identity that the project's secrets are encrypted to. It must not be in the store.";
    };
    tokenFile = lib.mkOption {
      type = lib.types.str;
      default = "/etc/appcred-keys/hass_token";
      description = ''
        The access token, for a target that has `token: !file ''${CREDENTIALS_DIRECTORY}/hass_token`. It must not be in
        the store.
      '';
    };
    extraArgs = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      example = [
        "--listen"
        "127.0.0.1:8099"
      ];
      description = "More arguments of `appcred watch`.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    systemd.packages = [ cfg.package ];
    systemd.services.appcred = {
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        # An empty word takes away what the unit of the package has.
        ExecStart = [
          ""
          (utils.escapeSystemdExecArgs (
            [
              (lib.getExe cfg.package)
              "-C"
              "${cfg.project}"
              "watch"
              "--log-format"
              "json"
            ]
            ++ cfg.extraArgs
          ))
        ];
        LoadCredential = [
          ""
          "identity:${cfg.identityFile}"
          "hass_token:${cfg.tokenFile}"
        ];
      };
    };
  };
}

# The package, for nixpkgs or as `pkgs.callPackage ./packaging/nix/package.nix { }` of a checkout.
{
  lib,
  rustPlatform,
  installShellFiles,
}:
rustPlatform.buildRustPackage {
  pname = "appcred";
  inherit ((lib.importTOML ../../Cargo.toml).package) version;
  src = lib.cleanSource ../..;
  cargoLock.lockFile = ../../Cargo.lock;
  nativeBuildInputs = [ installShellFiles ];
  # They start real Home Assistants, which are downloaded.
  doCheck = false;
  postInstall = ''
    installShellCompletion --cmd appcred \
      --bash <($out/bin/appcred completion bash) \
      --zsh <($out/bin/appcred completion zsh) \
      --fish <($out/bin/appcred completion fish)
    mkdir man
    $out/bin/appcred man man
    installManPage man/*
    substituteInPlace packaging/systemd/appcred.service --replace-fail ExecStart=appcred "ExecStart=$out/bin/appcred"
    install -Dm 644 -t $out/lib/systemd/system packaging/systemd/appcred.service
  '';
  meta = {
    description = "Application credentials as code for Home Assistant";
    homepage = "https://github.com/appcred/appcred";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "appcred";
  };
}

class Appcred < Formula
  desc "Application credentials as code for Home Assistant"
  homepage "https://github.com/appcred/appcred"
  @stable@
  license any_of: ["MIT", "Apache-2.0"]
  head "https://github.com/appcred/appcred.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args
    generate_completions_from_executable(bin/"appcred", "completion")
    mkdir "man"
    system bin/"appcred", "man", "man"
    man1.install Dir["man/*.1"]
  end

  test do
    (testpath/"appcred.yaml").write "targets: {home: {config_dir: ha}}\n"
    (testpath/"credentials.yaml").write "application_credentials: []\n"
    mkdir "ha"
    assert_match "No changes.", shell_output("#{bin}/appcred plan")
  end
end

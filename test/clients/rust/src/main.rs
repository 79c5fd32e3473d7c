//! The AWS SDK for Rust, made to do its job. Prints one JSON line a check.
use std::collections::HashMap;
use std::process::{Command, exit};

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeySpec, KeyUsageType, MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};
use p256::ecdsa::signature::Verifier;
use p256::pkcs8::DecodePublicKey;

type Outcome = Result<(), String>;

struct Checks {
    failed: bool,
}

impl Checks {
    fn report(&mut self, name: &str, outcome: Outcome) {
        let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        match outcome {
            Ok(()) => println!("{{\"name\":\"{}\",\"ok\":true}}", quote(name)),
            Err(why) => {
                self.failed = true;
                println!("{{\"name\":\"{}\",\"ok\":false,\"why\":\"{}\"}}", quote(name), quote(&why));
            }
        }
    }
}

fn said(error: impl std::error::Error) -> String {
    format!("{}", DisplayErrorContext(error))
}

fn expect(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

async fn create(kms: &Client, spec: KeySpec, usage: KeyUsageType) -> Result<String, String> {
    let made = kms.create_key().key_spec(spec).key_usage(usage).send().await.map_err(said)?;
    Ok(made.key_metadata().map(|m| m.key_id().to_owned()).unwrap_or_default())
}

async fn symmetric(kms: &Client) -> Result<String, String> {
    create(kms, KeySpec::SymmetricDefault, KeyUsageType::EncryptDecrypt).await
}

async fn round_trip(kms: &Client) -> Outcome {
    let key = symmetric(kms).await?;
    let sealed = kms.encrypt().key_id(&key).plaintext(Blob::new("rust")).encryption_context("a", "1").encryption_context("b", "2").send().await.map_err(said)?;
    let context = HashMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
    let opened = kms.decrypt().ciphertext_blob(sealed.ciphertext_blob().unwrap().clone()).set_encryption_context(Some(context)).send().await.map_err(said)?;
    expect(opened.plaintext().unwrap().as_ref() == b"rust" && opened.key_id().unwrap().ends_with(&key), "another plaintext")
}

async fn other_context(kms: &Client) -> Outcome {
    let key = symmetric(kms).await?;
    let sealed = kms.encrypt().key_id(&key).plaintext(Blob::new("rust")).encryption_context("ab", "c").send().await.map_err(said)?;
    let refused = kms.decrypt().ciphertext_blob(sealed.ciphertext_blob().unwrap().clone()).encryption_context("a", "bc").send().await.err().ok_or("opened")?;
    expect(refused.as_service_error().is_some_and(|e| e.is_invalid_ciphertext_exception()), &said(refused))
}

async fn data_key(kms: &Client) -> Outcome {
    let key = symmetric(kms).await?;
    let made = kms.generate_data_key().key_id(&key).key_spec(DataKeySpec::Aes256).send().await.map_err(said)?;
    let opened = kms.decrypt().ciphertext_blob(made.ciphertext_blob().unwrap().clone()).send().await.map_err(said)?;
    expect(opened.plaintext() == made.plaintext() && made.plaintext().unwrap().as_ref().len() == 32, "another key")
}

async fn signature(kms: &Client) -> Outcome {
    let key = create(kms, KeySpec::EccNistP256, KeyUsageType::SignVerify).await?;
    let signed = kms.sign().key_id(&key).message(Blob::new("m")).signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send().await.map_err(said)?;
    let public = kms.get_public_key().key_id(&key).send().await.map_err(said)?;
    let verifier = p256::ecdsa::VerifyingKey::from_public_key_der(public.public_key().unwrap().as_ref()).map_err(|e| e.to_string())?;
    let parsed = p256::ecdsa::Signature::from_der(signed.signature().unwrap().as_ref()).map_err(|e| e.to_string())?;
    verifier.verify(b"m", &parsed).map_err(|e| e.to_string())
}

/// openssl's verdict on a signature over a digest.
async fn digest_by_openssl(kms: &Client, spec: KeySpec, algorithm: SigningAlgorithmSpec, more: &[&str]) -> Outcome {
    let work = std::env::temp_dir().join(format!("strongroom-rust-{}", std::process::id()));
    std::fs::create_dir_all(&work).map_err(|e| e.to_string())?;
    let key = create(kms, spec, KeyUsageType::SignVerify).await?;
    std::fs::write(work.join("message"), "m").map_err(|e| e.to_string())?;
    let digest = Command::new("openssl").args(["dgst", "-sha256", "-binary", "message"]).current_dir(&work).output().map_err(|e| e.to_string())?.stdout;
    let signed = kms.sign().key_id(&key).message(Blob::new(digest)).message_type(MessageType::Digest).signing_algorithm(algorithm).send().await.map_err(said)?;
    let public = kms.get_public_key().key_id(&key).send().await.map_err(said)?;
    std::fs::write(work.join("sig"), signed.signature().unwrap()).map_err(|e| e.to_string())?;
    std::fs::write(work.join("pub"), public.public_key().unwrap()).map_err(|e| e.to_string())?;
    let judged = Command::new("openssl").arg("dgst").arg("-sha256").args(more).args(["-keyform", "DER", "-verify", "pub", "-signature", "sig", "message"]).current_dir(&work).output().map_err(|e| e.to_string())?;
    let _ = std::fs::remove_dir_all(&work);
    expect(judged.status.success(), &String::from_utf8_lossy(&judged.stderr))
}

async fn wrong_signature(kms: &Client) -> Outcome {
    let key = create(kms, KeySpec::EccNistP384, KeyUsageType::SignVerify).await?;
    let signed = kms.sign().key_id(&key).message(Blob::new("m")).signing_algorithm(SigningAlgorithmSpec::EcdsaSha384).send().await.map_err(said)?;
    let refused = kms.verify().key_id(&key).message(Blob::new("n")).signature(signed.signature().unwrap().clone()).signing_algorithm(SigningAlgorithmSpec::EcdsaSha384).send().await.err().ok_or("valid")?;
    expect(refused.as_service_error().is_some_and(|e| e.is_kms_invalid_signature_exception()), &said(refused))
}

async fn mac(kms: &Client) -> Outcome {
    let key = create(kms, KeySpec::Hmac512, KeyUsageType::GenerateVerifyMac).await?;
    let made = kms.generate_mac().key_id(&key).message(Blob::new("m")).mac_algorithm(MacAlgorithmSpec::HmacSha512).send().await.map_err(said)?;
    let valid = kms.verify_mac().key_id(&key).message(Blob::new("m")).mac(made.mac().unwrap().clone()).mac_algorithm(MacAlgorithmSpec::HmacSha512).send().await.map_err(said)?;
    expect(valid.mac_valid() && made.mac().unwrap().as_ref().len() == 64, "not valid")
}

async fn disabled(kms: &Client) -> Outcome {
    let key = symmetric(kms).await?;
    kms.disable_key().key_id(&key).send().await.map_err(said)?;
    let refused = kms.encrypt().key_id(&key).plaintext(Blob::new("x")).send().await.err().ok_or("encrypted")?;
    expect(refused.as_service_error().is_some_and(|e| e.is_disabled_exception()), &said(refused))
}

async fn missing(kms: &Client) -> Outcome {
    let refused = kms.describe_key().key_id("alias/rust-none").send().await.err().ok_or("found")?;
    let id = aws_sdk_kms::operation::RequestId::request_id(&refused).is_some();
    expect(id && refused.code() == Some("NotFoundException"), &said(refused))
}

async fn pages(kms: &Client) -> Outcome {
    let key = symmetric(kms).await?;
    let keys = kms.list_keys().limit(2).into_paginator().items().send().collect::<Result<Vec<_>, _>>().await.map_err(said)?;
    expect(keys.iter().filter(|k| k.key_id() == Some(&key)).count() == 1, "not once")
}

async fn dates(kms: &Client) -> Outcome {
    let key = symmetric(kms).await?;
    let answer = kms.schedule_key_deletion().key_id(&key).pending_window_in_days(7).send().await.map_err(said)?;
    let days = (answer.deletion_date().unwrap().secs() - std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64) as f64 / 86_400.0;
    expect((6.9..7.1).contains(&days), &format!("{days} days"))
}

#[tokio::main]
async fn main() {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let kms = Client::new(&aws_config::defaults(aws_config::BehaviorVersion::latest()).http_client(http).load().await);
    let mut checks = Checks { failed: false };
    checks.report("a context in any order", round_trip(&kms).await);
    checks.report("{ab:c} is not {a:bc}", other_context(&kms).await);
    checks.report("a data key opens", data_key(&kms).await);
    checks.report("ECDSA, judged by the p256 crate", signature(&kms).await);
    checks.report("a digest is signed as it is, judged by openssl: P-256", digest_by_openssl(&kms, KeySpec::EccNistP256, SigningAlgorithmSpec::EcdsaSha256, &[]).await);
    checks.report("a digest is signed as it is, judged by openssl: PSS", digest_by_openssl(&kms, KeySpec::Rsa2048, SigningAlgorithmSpec::RsassaPssSha256, &["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]).await);
    checks.report("a wrong signature is KmsInvalidSignatureException", wrong_signature(&kms).await);
    checks.report("a MAC", mac(&kms).await);
    checks.report("a disabled key is DisabledException", disabled(&kms).await);
    checks.report("nothing there is NotFoundException, with a request id", missing(&kms).await);
    checks.report("pages", pages(&kms).await);
    checks.report("times", dates(&kms).await);
    if checks.failed {
        exit(1);
    }
}

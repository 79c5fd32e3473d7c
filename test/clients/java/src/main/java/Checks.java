import com.amazonaws.encryptionsdk.AwsCrypto;
import com.amazonaws.encryptionsdk.CommitmentPolicy;
import com.amazonaws.encryptionsdk.kmssdkv2.KmsMasterKeyProvider;
import java.io.OutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Security;
import java.security.Signature;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import javax.crypto.Cipher;
import javax.crypto.spec.OAEPParameterSpec;
import javax.crypto.spec.PSource;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v3CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInfoGeneratorBuilder;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.DefaultSignatureAlgorithmIdentifierFinder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.model.*;

/** The AWS SDK for Java, BouncyCastle and the Encryption SDK on keys in KMS. Prints one JSON line a check. */
public final class Checks {
    static final KmsClient kms = KmsClient.create();
    static boolean failed;
    static Path work;

    interface Body { void run() throws Exception; }

    static void check(String name, Body body) {
        try {
            body.run();
            System.out.println("{\"name\":\"" + name + "\",\"ok\":true}");
        } catch (Throwable e) {
            failed = true;
            System.out.println("{\"name\":\"" + name + "\",\"ok\":false,\"why\":\"" + e.toString().replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("\\s+", " ") + "\"}");
        }
    }

    static void expect(boolean holds, Object what) {
        if (!holds) throw new AssertionError(String.valueOf(what));
    }

    static <E extends KmsException> void refused(Class<E> type, Body body) throws Exception {
        try {
            body.run();
        } catch (KmsException e) {
            expect(type.isInstance(e) && e.statusCode() == 400 && e.requestId() != null, e);
            return;
        }
        throw new AssertionError("not refused");
    }

    static String create(KeySpec spec, KeyUsageType usage) {
        return kms.createKey(r -> r.keySpec(spec).keyUsage(usage)).keyMetadata().arn();
    }

    static String symmetric() { return create(KeySpec.SYMMETRIC_DEFAULT, KeyUsageType.ENCRYPT_DECRYPT); }

    static byte[] spki(String key) { return kms.getPublicKey(r -> r.keyId(key)).publicKey().asByteArray(); }

    static PublicKey publicKey(String key, String kind) throws Exception {
        return KeyFactory.getInstance(kind).generatePublic(new X509EncodedKeySpec(spki(key)));
    }

    static SdkBytes bytes(String text) { return SdkBytes.fromUtf8String(text); }

    static byte[] sign(String key, byte[] message, SigningAlgorithmSpec algorithm) {
        return kms.sign(r -> r.keyId(key).message(SdkBytes.fromByteArray(message)).signingAlgorithm(algorithm)).signature().asByteArray();
    }

    static void openssl(String... words) throws Exception {
        List<String> command = new ArrayList<>(List.of("openssl"));
        command.addAll(List.of(words));
        Process process = new ProcessBuilder(command).directory(work.toFile()).redirectErrorStream(true).start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        expect(process.waitFor() == 0, said);
    }

    static void write(String name, byte[] content) throws Exception { Files.write(work.resolve(name), content); }

    /** BouncyCastle's signer whose key stays in KMS. */
    record Remote(String key, String name, SigningAlgorithmSpec algorithm, java.io.ByteArrayOutputStream data) implements ContentSigner {
        Remote(String key, String name, SigningAlgorithmSpec algorithm) { this(key, name, algorithm, new java.io.ByteArrayOutputStream()); }
        public AlgorithmIdentifier getAlgorithmIdentifier() { return new DefaultSignatureAlgorithmIdentifierFinder().find(name); }
        public OutputStream getOutputStream() { return data; }
        public byte[] getSignature() { return sign(key, data.toByteArray(), algorithm); }
    }

    static X509CertificateHolder certificate(String key, String name, SigningAlgorithmSpec algorithm) throws Exception {
        X500Name subject = new X500Name("CN=java");
        return new X509v3CertificateBuilder(subject, BigInteger.ONE, Date.from(Instant.now().minusSeconds(60)), Date.from(Instant.now().plus(Duration.ofHours(1))), subject, SubjectPublicKeyInfo.getInstance(spki(key)))
            .addExtension(Extension.basicConstraints, true, new BasicConstraints(true)).build(new Remote(key, name, algorithm));
    }

    static void certified(KeySpec spec, String name, SigningAlgorithmSpec algorithm) throws Exception {
        String key = create(spec, KeyUsageType.SIGN_VERIFY);
        X509CertificateHolder made = certificate(key, name, algorithm);
        var parsed = new JcaX509CertificateConverter().getCertificate(made);
        parsed.verify(parsed.getPublicKey());
        write("cert.der", made.getEncoded());
        openssl("x509", "-inform", "DER", "-in", "cert.der", "-out", "cert.pem");
        openssl("verify", "-check_ss_sig", "-CAfile", "cert.pem", "cert.pem");
    }

    static void jca(KeySpec spec, String kind, String name, PSSParameterSpec pss, SigningAlgorithmSpec algorithm) throws Exception {
        String key = create(spec, KeyUsageType.SIGN_VERIFY);
        byte[] message = "signed in KMS".getBytes(StandardCharsets.UTF_8);
        Signature verifier = Signature.getInstance(name);
        if (pss != null) verifier.setParameter(pss);
        verifier.initVerify(publicKey(key, kind));
        verifier.update(message);
        expect(verifier.verify(sign(key, message, algorithm)), "not valid");
    }

    static void sdk() {
        check("a context in any order", () -> {
            String key = symmetric();
            SdkBytes sealed = kms.encrypt(r -> r.keyId(key).plaintext(bytes("java")).encryptionContext(Map.of("a", "1", "b", "2"))).ciphertextBlob();
            DecryptResponse opened = kms.decrypt(r -> r.ciphertextBlob(sealed).encryptionContext(Map.of("b", "2", "a", "1")));
            expect(opened.plaintext().asUtf8String().equals("java") && opened.keyId().equals(key), opened);
        });
        check("another context is InvalidCiphertextException", () -> {
            SdkBytes sealed = kms.encrypt(r -> r.keyId(symmetric()).plaintext(bytes("java"))).ciphertextBlob();
            refused(InvalidCiphertextException.class, () -> kms.decrypt(r -> r.ciphertextBlob(sealed).encryptionContext(Map.of("a", "1"))));
        });
        check("another key is IncorrectKeyException", () -> {
            SdkBytes sealed = kms.encrypt(r -> r.keyId(symmetric()).plaintext(bytes("java"))).ciphertextBlob();
            refused(IncorrectKeyException.class, () -> kms.decrypt(r -> r.ciphertextBlob(sealed).keyId(symmetric())));
        });
        check("a disabled key is DisabledException", () -> {
            String key = symmetric();
            kms.disableKey(r -> r.keyId(key));
            refused(DisabledException.class, () -> kms.encrypt(r -> r.keyId(key).plaintext(bytes("x"))));
        });
        check("nothing there is NotFoundException", () -> refused(NotFoundException.class, () -> kms.describeKey(r -> r.keyId("alias/java-none"))));
        check("a data key opens", () -> {
            GenerateDataKeyResponse made = kms.generateDataKey(r -> r.keyId(symmetric()).keySpec(DataKeySpec.AES_256));
            expect(kms.decrypt(r -> r.ciphertextBlob(made.ciphertextBlob())).plaintext().equals(made.plaintext()), "another key");
        });
        check("pages", () -> {
            String key = symmetric();
            expect(kms.listKeysPaginator(r -> r.limit(2)).keys().stream().filter(k -> k.keyArn().equals(key)).count() == 1, "not once");
        });
        check("a MAC, and a wrong one", () -> {
            String key = create(KeySpec.HMAC_256, KeyUsageType.GENERATE_VERIFY_MAC);
            SdkBytes mac = kms.generateMac(r -> r.keyId(key).message(bytes("m")).macAlgorithm(MacAlgorithmSpec.HMAC_SHA_256)).mac();
            expect(kms.verifyMac(r -> r.keyId(key).message(bytes("m")).mac(mac).macAlgorithm(MacAlgorithmSpec.HMAC_SHA_256)).macValid(), "not valid");
            refused(KmsInvalidMacException.class, () -> kms.verifyMac(r -> r.keyId(key).message(bytes("n")).mac(mac).macAlgorithm(MacAlgorithmSpec.HMAC_SHA_256)));
        });
        check("what the JCA seals with OAEP opens", () -> {
            String key = create(KeySpec.RSA_2048, KeyUsageType.ENCRYPT_DECRYPT);
            Cipher cipher = Cipher.getInstance("RSA/ECB/OAEPPadding");
            cipher.init(Cipher.ENCRYPT_MODE, publicKey(key, "RSA"), new OAEPParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, PSource.PSpecified.DEFAULT));
            SdkBytes sealed = SdkBytes.fromByteArray(cipher.doFinal("from outside".getBytes(StandardCharsets.UTF_8)));
            expect(kms.decrypt(r -> r.keyId(key).ciphertextBlob(sealed).encryptionAlgorithm(EncryptionAlgorithmSpec.RSAES_OAEP_SHA_256)).plaintext().asUtf8String().equals("from outside"), "another text");
        });
        check("eight threads at once", () -> {
            String key = symmetric();
            var pool = Executors.newFixedThreadPool(8);
            Callable<Boolean> one = () -> {
                for (int i = 0; i < 20; i++) {
                    GenerateDataKeyResponse made = kms.generateDataKey(r -> r.keyId(key).keySpec(DataKeySpec.AES_256));
                    if (!kms.decrypt(r -> r.ciphertextBlob(made.ciphertextBlob())).plaintext().equals(made.plaintext())) return false;
                }
                return true;
            };
            for (Future<Boolean> each : pool.invokeAll(java.util.Collections.nCopies(8, one))) expect(each.get(), "another key");
            pool.shutdown();
        });
    }

    static void signatures() {
        check("JCA verifies RSA PKCS#1", () -> jca(KeySpec.RSA_2048, "RSA", "SHA256withRSA", null, SigningAlgorithmSpec.RSASSA_PKCS1_V1_5_SHA_256));
        check("JCA verifies RSA-PSS with a salt of the digest's length", () -> jca(KeySpec.RSA_3072, "RSA", "RSASSA-PSS", new PSSParameterSpec("SHA-384", "MGF1", MGF1ParameterSpec.SHA384, 48, 1), SigningAlgorithmSpec.RSASSA_PSS_SHA_384));
        check("JCA verifies ECDSA P-384", () -> jca(KeySpec.ECC_NIST_P384, "EC", "SHA384withECDSA", null, SigningAlgorithmSpec.ECDSA_SHA_384));
        check("JCA verifies Ed25519", () -> jca(KeySpec.ECC_NIST_EDWARDS25519, "Ed25519", "Ed25519", null, SigningAlgorithmSpec.fromValue("ED25519_SHA_512")));
        check("a certificate by BouncyCastle: RSA", () -> certified(KeySpec.RSA_2048, "SHA256withRSA", SigningAlgorithmSpec.RSASSA_PKCS1_V1_5_SHA_256));
        check("a certificate by BouncyCastle: P-256", () -> certified(KeySpec.ECC_NIST_P256, "SHA256withECDSA", SigningAlgorithmSpec.ECDSA_SHA_256));
        check("a certificate by BouncyCastle: P-521", () -> certified(KeySpec.ECC_NIST_P521, "SHA512withECDSA", SigningAlgorithmSpec.ECDSA_SHA_512));
        check("a request for a certificate (PKCS#10)", () -> {
            String key = create(KeySpec.ECC_NIST_P256, KeyUsageType.SIGN_VERIFY);
            write("asks.der", new PKCS10CertificationRequestBuilder(new X500Name("CN=asks"), SubjectPublicKeyInfo.getInstance(spki(key))).build(new Remote(key, "SHA256withECDSA", SigningAlgorithmSpec.ECDSA_SHA_256)).getEncoded());
            openssl("req", "-inform", "DER", "-in", "asks.der", "-verify", "-noout");
        });
        check("a detached CMS signature", () -> {
            String key = create(KeySpec.RSA_2048, KeyUsageType.SIGN_VERIFY);
            X509CertificateHolder certificate = certificate(key, "SHA256withRSA", SigningAlgorithmSpec.RSASSA_PKCS1_V1_5_SHA_256);
            var generator = new CMSSignedDataGenerator();
            generator.addSignerInfoGenerator(new SignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build()).build(new Remote(key, "SHA256withRSA", SigningAlgorithmSpec.RSASSA_PKCS1_V1_5_SHA_256), certificate));
            generator.addCertificate(certificate);
            write("content", "a document".getBytes(StandardCharsets.UTF_8));
            write("content.cms", generator.generate(new CMSProcessableByteArray("a document".getBytes(StandardCharsets.UTF_8)), false).getEncoded());
            write("signer.der", certificate.getEncoded());
            openssl("x509", "-inform", "DER", "-in", "signer.der", "-out", "signer.pem");
            openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", "content.cms", "-content", "content", "-CAfile", "signer.pem", "-purpose", "any", "-out", "out");
        });
    }

    static final AwsCrypto crypto = AwsCrypto.builder().withCommitmentPolicy(CommitmentPolicy.RequireEncryptRequireDecrypt).build();
    static final Map<String, String> context = Map.of("purpose", "test", "zone", "ä/b");

    static KmsMasterKeyProvider strict(String... keys) { return KmsMasterKeyProvider.builder().customRegionalClientSupplier(r -> kms).buildStrict(keys); }

    static KmsMasterKeyProvider discovery() { return KmsMasterKeyProvider.builder().customRegionalClientSupplier(r -> kms).buildDiscovery(); }

    static void encryptionSdk() {
        check("Encryption SDK: two keys, either opens", () -> {
            String first = symmetric(), second = symmetric();
            byte[] sealed = crypto.encryptData(strict(first, second), "for two".getBytes(StandardCharsets.UTF_8), context).getResult();
            for (String key : List.of(first, second)) {
                var opened = crypto.decryptData(strict(key), sealed);
                expect(new String(opened.getResult(), StandardCharsets.UTF_8).equals("for two") && opened.getEncryptionContext().get("zone").equals("ä/b"), opened);
            }
        });
        check("Encryption SDK: a mebibyte as a stream", () -> {
            KmsMasterKeyProvider provider = strict(symmetric());
            byte[] data = new byte[1 << 20];
            Arrays.fill(data, (byte) 7);
            byte[] sealed = crypto.createEncryptingStream(provider, new java.io.ByteArrayInputStream(data), context).readAllBytes();
            expect(Arrays.equals(crypto.createDecryptingStream(provider, new java.io.ByteArrayInputStream(sealed)).readAllBytes(), data), "another text");
        });
        check("Encryption SDK: discovery", () -> {
            byte[] sealed = crypto.encryptData(strict(symmetric()), new byte[] { 1 }, context).getResult();
            expect(crypto.decryptData(discovery(), sealed).getResult()[0] == 1, "another text");
        });
        check("Encryption SDK: another key does not open", () -> {
            byte[] sealed = crypto.encryptData(strict(symmetric()), new byte[] { 1 }, context).getResult();
            try {
                crypto.decryptData(strict(symmetric()), sealed);
            } catch (com.amazonaws.encryptionsdk.exception.CannotUnwrapDataKeyException e) {
                return;
            }
            throw new AssertionError("opened");
        });
        check("Encryption SDK: a flipped byte is refused", () -> {
            KmsMasterKeyProvider provider = strict(symmetric());
            byte[] sealed = crypto.encryptData(provider, new byte[100], context).getResult();
            sealed[sealed.length / 2] ^= 1;
            try {
                crypto.decryptData(provider, sealed);
            } catch (RuntimeException e) {
                return;
            }
            throw new AssertionError("opened");
        });
    }

    public static void main(String[] words) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        switch (words[0]) {
            case "seal" -> Files.write(Path.of(words[1], "java.message"), crypto.encryptData(strict(symmetric()), "sealed by Java".getBytes(StandardCharsets.UTF_8), context).getResult());
            case "open" -> {
                var opened = crypto.decryptData(discovery(), Files.readAllBytes(Path.of(words[1], words[2] + ".message")));
                expect("test".equals(opened.getEncryptionContext().get("purpose")), opened.getEncryptionContext());
                System.out.write(opened.getResult());
                System.out.flush();
            }
            default -> {
                work = Files.createTempDirectory("strongroom-java");
                sdk();
                signatures();
                encryptionSdk();
                for (Path each : Files.list(work).collect(Collectors.toList())) Files.delete(each);
                Files.delete(work);
                System.exit(failed ? 1 : 0);
            }
        }
    }
}

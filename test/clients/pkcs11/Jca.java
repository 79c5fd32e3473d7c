// What a Java program does with keys in a token, through SunPKCS11. Run as a single source file:
// java Jca.java CONFIG PIN. Prints a line a check, and throws at the first that is wrong.
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.security.spec.*;
import java.util.Arrays;
import javax.crypto.*;
import javax.crypto.spec.*;

public class Jca {
  static Provider p11;
  static final byte[] TEXT = "a message from Java".getBytes(StandardCharsets.UTF_8);

  static void check(String name, boolean right) {
    if (!right) throw new IllegalStateException(name);
    System.out.println("ok " + name);
  }

  static boolean refuses(Signature with, PublicKey key, byte[] signature) throws Exception {
    with.initVerify(key);
    with.update("another message".getBytes(StandardCharsets.UTF_8));
    try {
      return !with.verify(signature);
    } catch (SignatureException e) {
      return true;
    }
  }

  /** Signed in the token, verified there and by the JDK's own code. */
  static void signature(String algorithm, KeyPair pair, AlgorithmParameterSpec spec, PublicKey outside) throws Exception {
    Signature signer = Signature.getInstance(algorithm, p11);
    if (spec != null) signer.setParameter(spec);
    signer.initSign(pair.getPrivate());
    signer.update(TEXT);
    byte[] signature = signer.sign();
    Signature here = Signature.getInstance(algorithm, p11);
    if (spec != null) here.setParameter(spec);
    here.initVerify(pair.getPublic());
    here.update(TEXT);
    check(algorithm + " in the token", here.verify(signature));
    check(algorithm + " refuses", refuses(here, pair.getPublic(), signature));
    Signature there = Signature.getInstance(algorithm, outside.getAlgorithm().equals("EC") ? "SunEC" : "SunRsaSign");
    if (spec != null) there.setParameter(spec);
    there.initVerify(outside);
    there.update(TEXT);
    check(algorithm + " outside", there.verify(signature));
  }

  static PublicKey outside(PublicKey key) throws Exception {
    return KeyFactory.getInstance(key.getAlgorithm(), key.getAlgorithm().equals("EC") ? "SunEC" : "SunRsaSign").generatePublic(new X509EncodedKeySpec(key.getEncoded()));
  }

  static KeyPair pair(String algorithm, AlgorithmParameterSpec spec) throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm, p11);
    generator.initialize(spec);
    return generator.generateKeyPair();
  }

  static void rsa() throws Exception {
    KeyPair pair = pair("RSA", new RSAKeyGenParameterSpec(2048, RSAKeyGenParameterSpec.F4));
    PublicKey outside = outside(pair.getPublic());
    for (String hash : new String[] { "SHA256", "SHA384", "SHA512" }) signature(hash + "withRSA", pair, null, outside);
    signature("RSASSA-PSS", pair, new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1), outside);
    signature("RSASSA-PSS", pair, new PSSParameterSpec("SHA-384", "MGF1", MGF1ParameterSpec.SHA384, 48, 1), outside);
    Cipher seal = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
    seal.init(Cipher.ENCRYPT_MODE, outside);
    Cipher open = Cipher.getInstance("RSA/ECB/PKCS1Padding", p11);
    open.init(Cipher.DECRYPT_MODE, pair.getPrivate());
    check("RSA decrypts", Arrays.equals(open.doFinal(seal.doFinal(TEXT)), TEXT));
  }

  static void ec(String curve, String hash) throws Exception {
    KeyPair pair = pair("EC", new ECGenParameterSpec(curve));
    signature(hash + "withECDSA", pair, null, outside(pair.getPublic()));
    KeyPair other = pair("EC", new ECGenParameterSpec(curve));
    byte[][] secrets = new byte[2][];
    for (int i = 0; i < 2; i++) {
      KeyAgreement agreement = KeyAgreement.getInstance("ECDH", p11);
      agreement.init((i == 0 ? pair : other).getPrivate());
      agreement.doPhase((i == 0 ? other : pair).getPublic(), true);
      secrets[i] = agreement.generateSecret();
    }
    check("ECDH " + curve, Arrays.equals(secrets[0], secrets[1]));
  }

  /** Many: what shortens r and s shows once in 256 signatures. Made outside, verified in the token. */
  static void p521() throws Exception {
    KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "SunEC");
    generator.initialize(new ECGenParameterSpec("secp521r1"));
    KeyPair pair = generator.generateKeyPair();
    for (int i = 0; i < 600; i++) {
      Signature signer = Signature.getInstance("SHA512withECDSA", "SunEC");
      signer.initSign(pair.getPrivate());
      signer.update((byte) i);
      byte[] signature = signer.sign();
      Signature verifier = Signature.getInstance("SHA512withECDSA", p11);
      verifier.initVerify(pair.getPublic());
      verifier.update((byte) i);
      if (!verifier.verify(signature)) throw new IllegalStateException("P-521, signature " + i);
    }
    check("P-521 verifies 600 times", true);
  }

  static byte[] crypt(String transformation, int mode, SecretKey key, AlgorithmParameterSpec spec, Object provider, byte[] data) throws Exception {
    Cipher cipher = provider instanceof Provider ? Cipher.getInstance(transformation, (Provider) provider) : Cipher.getInstance(transformation, (String) provider);
    cipher.init(mode, key, spec);
    if (transformation.contains("GCM")) cipher.updateAAD(TEXT);
    return cipher.doFinal(data);
  }

  static void aes() throws Exception {
    byte[] raw = new byte[32];
    new SecureRandom().nextBytes(raw);
    SecretKey software = new SecretKeySpec(raw, "AES");
    SecretKey token = SecretKeyFactory.getInstance("AES", p11).translateKey(software);
    byte[] iv = new byte[16];
    byte[] data = new byte[1000];
    for (String transformation : new String[] { "AES/CBC/PKCS5Padding", "AES/CTR/NoPadding", "AES/GCM/NoPadding" }) {
      AlgorithmParameterSpec spec = transformation.contains("GCM") ? new GCMParameterSpec(128, Arrays.copyOf(iv, 12)) : new IvParameterSpec(iv);
      byte[] sealed = crypt(transformation, Cipher.ENCRYPT_MODE, token, spec, p11, data);
      check(transformation + " as the JDK", Arrays.equals(sealed, crypt(transformation, Cipher.ENCRYPT_MODE, software, spec, "SunJCE", data)));
      check(transformation + " back", Arrays.equals(data, crypt(transformation, Cipher.DECRYPT_MODE, token, spec, p11, sealed)));
    }
    KeyGenerator generator = KeyGenerator.getInstance("AES", p11);
    generator.init(256);
    SecretKey made = generator.generateKey();
    AlgorithmParameterSpec spec = new IvParameterSpec(iv);
    check("a key made in the token", Arrays.equals(data, crypt("AES/CBC/PKCS5Padding", Cipher.DECRYPT_MODE, made, spec, p11,
        crypt("AES/CBC/PKCS5Padding", Cipher.ENCRYPT_MODE, made, spec, p11, data))));
  }

  static void macs() throws Exception {
    for (String name : new String[] { "HmacSHA1", "HmacSHA256", "HmacSHA384", "HmacSHA512" }) {
      SecretKey key = new SecretKeySpec(Arrays.copyOf(TEXT, 32), name);
      Mac token = Mac.getInstance(name, p11);
      token.init(key);
      Mac software = Mac.getInstance(name, "SunJCE");
      software.init(key);
      check(name, Arrays.equals(token.doFinal(TEXT), software.doFinal(TEXT)));
    }
    for (String name : new String[] { "SHA-256", "SHA-512", "SHA3-256" }) {
      MessageDigest token = MessageDigest.getInstance(name, p11);
      token.update(TEXT);
      MessageDigest copy = (MessageDigest) token.clone();
      check(name, Arrays.equals(token.digest(), MessageDigest.getInstance(name, "SUN").digest(TEXT)));
      copy.update(TEXT);
      MessageDigest twice = MessageDigest.getInstance(name, "SUN");
      twice.update(TEXT);
      twice.update(TEXT);
      check(name + " cloned", Arrays.equals(copy.digest(), twice.digest()));
    }
  }

  public static void main(String[] args) throws Exception {
    p11 = Security.getProvider("SunPKCS11").configure(args[0]);
    Security.addProvider(p11);
    KeyStore store = KeyStore.getInstance("PKCS11", p11);
    store.load(null, args[1].toCharArray());
    rsa();
    ec("secp256r1", "SHA256");
    ec("secp384r1", "SHA384");
    ec("secp521r1", "SHA512");
    p521();
    aes();
    macs();
    store.setEntry("kept", new KeyStore.SecretKeyEntry(new SecretKeySpec(new byte[32], "AES")), null);
    check("a secret key in the key store", store.containsAlias("kept") && store.getKey("kept", null) != null);
    store.deleteEntry("kept");
    check("and gone", !store.containsAlias("kept"));
  }
}

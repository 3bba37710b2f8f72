package rig

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

// WriteCertificate writes a self-signed certificate for names, followed by its key, to path: the file that `bind ... ssl crt` wants.
// A name that is an IP address becomes an address of the certificate. The pool trusts it.
func WriteCertificate(path string, names ...string) (*x509.CertPool, error) {
	return (&Authority{}).write(path, time.Now().UnixNano(), names)
}

// WriteNumberedCertificate is WriteCertificate with a serial number, by which a test knows the certificate again.
func WriteNumberedCertificate(path string, serial int64, names ...string) error {
	_, err := (&Authority{}).write(path, serial, names)
	return err
}

// Authority signs certificates. NewAuthority makes one.
type Authority struct {
	Pool *x509.CertPool // trusts all that it signs

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority with a key of its own.
func NewAuthority() (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateFor(time.Now().UnixNano(), []string{"Authority of tests"})
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return &Authority{Pool: pool, certificate: certificate, key: key}, nil
}

// Write is WriteCertificate for a certificate that the authority signs, with a key of its own each time. A file that was there is replaced at once.
func (a *Authority) Write(path string, names ...string) error {
	if _, err := a.write(path+".new", time.Now().UnixNano(), names); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func (a *Authority) write(path string, serial int64, names []string) (*x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := certificateFor(serial, names)
	parent, signer := &template, key
	if a.key != nil {
		template.IsCA = false
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool, os.WriteFile(path, append(certPEM, keyPEM...), 0o600)
}

func certificateFor(serial int64, names []string) x509.Certificate {
	template := x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: names[0]},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template
}

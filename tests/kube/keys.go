package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// writeKeys writes into a folder what an API server at the given addresses needs: ca.crt, apiserver.crt,
// apiserver.key, and service-account.key, which signs the tokens of service accounts.
func writeKeys(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("usage: keys FOLDER ADDRESS...")
	}
	folder := arguments[0]
	start := time.Now().Add(-time.Hour)
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "mdfs-test-authority"},
		NotBefore:             start,
		NotAfter:              start.AddDate(1, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "kube-apiserver"},
		NotBefore:    start,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost",
			"kubernetes.default.svc.cluster.local",
		},
	}
	for _, text := range arguments[1:] {
		address := net.ParseIP(text)
		if address == nil {
			return errors.New(text + " is no address")
		}
		server.IPAddresses = append(server.IPAddresses, address)
	}

	authorityKey, err := newKey()
	if err != nil {
		return err
	}
	serverKey, err := newKey()
	if err != nil {
		return err
	}
	accountKey, err := newKey()
	if err != nil {
		return err
	}
	authorityBytes, err := x509.CreateCertificate(
		rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	serverBytes, err := x509.CreateCertificate(
		rand.Reader, server, authority, serverKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(folder, "ca.crt", "CERTIFICATE", authorityBytes),
		writePEM(folder, "apiserver.crt", "CERTIFICATE", serverBytes),
		writeKey(folder, "apiserver.key", serverKey),
		writeKey(folder, "service-account.key", accountKey),
	)
}

func newKey() (*ecdsa.PrivateKey, error) {
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

func writeKey(folder, name string, key *ecdsa.PrivateKey) error {
	bytes, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(folder, name, "EC PRIVATE KEY", bytes)
}

func writePEM(folder, name, kind string, bytes []byte) error {
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
	return os.WriteFile(filepath.Join(folder, name), block, 0o600)
}

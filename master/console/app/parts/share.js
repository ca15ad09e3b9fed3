/** Handing a file on: a signed link, and a playlist for other players. */

import { act } from '../api.js';
import { baseName, dateTime } from '../format.js';
import { html, useEffect, useState } from '../html.js';
import { t } from '../texts.js';
import { copyText } from './basics.js';
import { Dialog } from './dialogs.js';
import { ErrorText } from './errors.js';
import { Icon } from './icons.js';
import { complain, say } from './toasts.js';

const SPANS = [3600, 86400, 604800];

/** @param {string} name @param {number} seconds @param {boolean} download */
async function sign(name, seconds, download) {
  const link = await act('POST', 'v1/sign', { name, expires_in_seconds: seconds, download });
  // The path begins at the API's root, which a proxy may have put below a path of its own.
  return { url: new URL(link.path.replace(/^\//, ''), document.baseURI.replace(/#.*$/, '')).href, ends: link.expires * 1000 };
}

/** Saves a playlist that VLC, mpv, Infuse and the like open. @param {{ name: string }} file */
export async function savePlaylist(file) {
  try {
    const { url } = await sign(file.name, SPANS[1], false);
    const title = baseName(file.name).replace(/[\r\n]/g, ' ');
    const blob = new Blob([`#EXTM3U\n#EXTINF:-1,${title}\n${url}\n`], { type: 'audio/x-mpegurl' });
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = `${title.replace(/\.[^.]*$/, '')}.m3u`;
    link.click();
    URL.revokeObjectURL(link.href);
    say(t('playlist.saved'));
  } catch (error) {
    complain(error, t('playlist.failed'));
  }
}

/** @param {{ file: { name: string }, close: () => void }} props */
export function LinkDialog({ file, close }) {
  const [seconds, setSeconds] = useState(SPANS[1]);
  const [download, setDownload] = useState(false);
  const [state, setState] = useState({ link: null, error: null });
  useEffect(() => {
    let current = true;
    setState({ link: null, error: null });
    sign(file.name, seconds, download).then(
      (link) => current && setState({ link, error: null }),
      (error) => current && setState({ link: null, error }),
    );
    return () => { current = false; };
  }, [seconds, download]);
  const { link, error } = state;
  return html`<${Dialog} title=${t('link.title')} close=${close} wide>
    <p class="dialog-text">${t('link.text')}</p>
    <div class="field-row">
      <label class="field">${t('link.span')}<select value=${seconds} onChange=${(event) => setSeconds(Number(event.target.value))}>
        ${SPANS.map((span) => html`<option key=${span} value=${span}>${t(`link.span.${span}`)}</option>`)}</select></label>
      <label class="field-check"><input type="checkbox" checked=${download} onChange=${(event) => setDownload(event.target.checked)} />${t('link.download')}</label>
    </div>
    ${error && html`<div role="alert"><${ErrorText} error=${error} /></div>`}
    <label class="field">${t('link.label')}<input type="text" readonly value=${link?.url ?? ''} onFocus=${(event) => event.target.select()} /></label>
    <footer class="dialog-foot"><span class="dialog-note">${link && t('link.ends', { when: dateTime(link.ends) })}</span>
      <button type="button" class="button button-main" disabled=${!link} onClick=${() => copyText(link.url, t('link.label'))}><${Icon} name="copy" />${t('action.copy')}</button></footer>
  <//>`;
}

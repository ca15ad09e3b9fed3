/** A place that there is not. */

import { html } from '../html.js';
import { Empty, PageHead } from '../parts/basics.js';
import { href } from '../router.js';
import { t } from '../texts.js';

export function Missing() {
  return html`<${PageHead} title=${t('page.missing')} />
    <${Empty} icon="unknown" title=${t('missing.title')} text=${t('missing.text')}>
      <a class="button" href=${href('overview')}>${t('page.overview')}</a>
    <//>`;
}
